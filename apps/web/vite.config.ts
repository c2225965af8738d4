/** The page's build: plain files under dist/ that hold under `default-src 'self'` without 'unsafe-inline'. */
import { defineConfig } from 'vite';

/** In development the API is the server's: `parley serve` beside `npm run dev -w @parley/web`. */
const SERVER = 'http://127.0.0.1:8080';

export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  oxc: { jsx: { runtime: 'automatic' } },
  build: {
    target: 'es2023',
    outDir: 'dist',
    emptyOutDir: true,
    // data: addresses would need a hole in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/api': { target: SERVER, changeOrigin: true } } },
});
