import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('.', import.meta.url))

export default defineConfig({
  // The same modules as the tests of the parts load; what is published is one file of them, which the package test loads.
  resolve: { alias: { 'tierce/kysely': `${root}build/kysely.js`, tierce: `${root}build/index.js` } },
  test: {
    include: ['__test__/**/*.spec.ts'],
    // A process a file: the addon is loaded and unloaded as users do it, and a crash is pinned to its file.
    pool: 'forks',
    // They end what hangs. No test may fail since the machine is slow or has more to do.
    testTimeout: 600_000,
    hookTimeout: 600_000,
    teardownTimeout: 60_000,
    setupFiles: ['__test__/helpers/setup.ts'],
    // Node itself loads what is shipped: transformed copies would give a second set of classes.
    server: { deps: { external: [/\/(dist|build)\/.*\.m?js$/, /\/index\.js$/, /\.node$/] } },
  },
})
