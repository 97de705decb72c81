/** Keys of a shortcut, written 'Ctrl+Shift+Z'. */
export function Kbd({ keys }: { keys: string }) {
  // '+' itself may be the last key: 'Ctrl++'.
  const parts = keys.split(/\+(?!$)/)
  return (
    <kbd className="inline-flex gap-0.5 font-sans">
      {parts.map(part => (
        <span key={part} className="rounded border border-line bg-canvas px-1 text-[11px] leading-4 text-muted">
          {part}
        </span>
      ))}
    </kbd>
  )
}
