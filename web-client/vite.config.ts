import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { VitePWA } from 'vite-plugin-pwa'
import { defineConfig } from 'vitest/config'

const server = process.env.ATLAS_SERVER ?? 'http://127.0.0.1:3000'
// The name under which the browser came is kept: the server compares it with the page's origin.
const passOn = { target: server, changeOrigin: false }
const proxy = {
  '/api': passOn,
  '/openapi.json': passOn,
  '/docs': passOn,
  '/ws': { ...passOn, target: server.replace(/^http/, 'ws'), ws: true }
}

const pwa = VitePWA({
  // Our own worker (src/sw.ts): the ready-made one would drop the version that other tabs still run, and would reload them.
  strategies: 'injectManifest',
  srcDir: 'src',
  filename: 'sw.ts',
  injectRegister: false,
  injectManifest: { globPatterns: ['**/*.{html,js,css,svg,png,webmanifest}'] },
  manifest: {
    name: 'Atlas Collab',
    short_name: 'Atlas',
    description: 'Draw architectures together, offline too',
    start_url: '/',
    scope: '/',
    display: 'standalone',
    theme_color: '#ffffff',
    background_color: '#f5f6f8',
    icons: [
      { src: '/icons/icon.svg', sizes: 'any', type: 'image/svg+xml' },
      { src: '/icons/icon-192.png', sizes: '192x192', type: 'image/png' },
      { src: '/icons/icon-512.png', sizes: '512x512', type: 'image/png' },
      { src: '/icons/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' }
    ]
  }
})

export default defineConfig({
  plugins: [react(), tailwindcss(), pwa],
  build: {
    target: 'es2022',
    sourcemap: true,
    // Inlined assets would be data: addresses, which the content security policy does not let in.
    assetsInlineLimit: 0
  },
  server: { proxy },
  preview: { proxy },
  test: {
    environment: 'node',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    // A bound for what hangs, not for what is slow on a busy machine.
    testTimeout: 60_000
  }
})
