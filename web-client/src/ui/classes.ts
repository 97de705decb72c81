/** Joins class names, leaving out what is empty. */
export function cx(...names: readonly (string | false | null | undefined)[]): string {
  return names.filter(name => typeof name === 'string' && name !== '').join(' ')
}
