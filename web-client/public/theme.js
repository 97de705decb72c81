// The theme before the first paint: the same as src/ui/theme.ts does later (there is why this is a file of its own).
;(function () {
  var kept = null
  try {
    kept = localStorage.getItem('atlas.theme')
  } catch (error) {}
  var dark = kept === 'dark' || (kept !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.dataset.theme = dark ? 'dark' : 'light'
})()
