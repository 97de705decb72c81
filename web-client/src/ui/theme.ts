// Light, dark, or as the system has it. The choice is remembered on this device. `public/theme.js` sets the same attribute before the first paint; it is
// a file of its own since the content security policy lets no inline script run, and reads the same key in the same way.

export type ThemeChoice = 'light' | 'dark' | 'system'
export type Theme = 'light' | 'dark'

const KEY = 'atlas.theme'
const DARK = '(prefers-color-scheme: dark)'
/** The bar of the browser around an installed page: `--panel` of each theme. */
const BAR: Readonly<Record<Theme, string>> = { light: '#ffffff', dark: '#181c24' }

const listeners = new Set<() => void>()
/** Where the browser keeps nothing, the choice lasts as long as the page. */
let unkept: ThemeChoice = 'system'

export function themeChoice(): ThemeChoice {
  try {
    const kept = localStorage.getItem(KEY)
    return kept === 'light' || kept === 'dark' ? kept : 'system'
  } catch {
    return unkept
  }
}

/** What is shown: the choice, or the system's where that is the choice. */
export function theme(): Theme {
  const choice = themeChoice()
  if (choice !== 'system') return choice
  return matchMedia(DARK).matches ? 'dark' : 'light'
}

export function chooseTheme(choice: ThemeChoice): void {
  try {
    if (choice === 'system') localStorage.removeItem(KEY)
    else localStorage.setItem(KEY, choice)
  } catch {
    unkept = choice
  }
  show()
}

export function subscribeTheme(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

/** Follows the system and the other tabs from now on. */
export function followTheme(): void {
  matchMedia(DARK).addEventListener('change', show)
  window.addEventListener('storage', event => {
    if (event.key === KEY || event.key === null) show()
  })
  show()
}

function show(): void {
  const shown = theme()
  document.documentElement.dataset.theme = shown
  document.querySelector('meta[name="theme-color"]')?.setAttribute('content', BAR[shown])
  for (const listener of [...listeners]) listener()
}
