// Links that change the page without loading it anew, and are real links for everything else that browsers do with one.

import type { ComponentProps, MouseEvent } from 'react'
import { navigate } from './router'

/** A link inside of the page: a plain click stays here, every other one (new tab, download) is the browser's. */
export function Link({ href, onClick, ...rest }: ComponentProps<'a'> & { href: string }) {
  const go = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event)
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey
    if (event.defaultPrevented || !plain) return
    event.preventDefault()
    navigate(href)
  }
  return <a href={href} onClick={go} {...rest} />
}
