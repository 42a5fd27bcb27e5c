import { execFile } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Cache, cached } from 'tierce'
import { describe, expect, it } from 'vitest'
import { codeOf } from './helpers/errors.js'
import { openCache, tempDir } from './helpers/temp.js'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('..', import.meta.url))
const source = readFileSync(new URL('./fixtures/decorated.ts', import.meta.url), 'utf8')
const run = promisify(execFile)

/** A folder in which 'tierce' is this package; with `source` in it. */
function project(): string {
  const folder = tempDir()
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  symlinkSync(root, join(folder, 'node_modules/tierce'), 'junction')
  symlinkSync(join(root, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'), 'junction')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'decorated.ts'), source)
  return folder
}

const EXPECTED = {
  results: [
    ...['a/user/1', 'a/user/1', 'a/user/2', 3, 3, 'a/user/1'],
    ...['order of 1', 'guest of a/user/1', 'guest of a/user/1', 8, 8, 'one', 'two', 'one'],
    ['a/user/3', 'a/user/3', 'a/user/3'],
    ...['a/user/1', 'user'],
  ],
  calls: [
    ...['Users.user 1', 'Users.user 2', 'Users.count abc', 'Orders.user 1', 'Guests.user 1'],
    ...['Users.twice 4', 'Users.mine one', 'Users.mine two', 'Users.user 3'],
  ],
  keys: [
    ...['Guests.user', 'Orders.user', 'Users.count', 'Users.twice'],
    ...['Users.user', 'Users.user', 'Users.user'],
  ],
}

async function output(file: string): Promise<unknown> {
  const { NODE_OPTIONS: _, ...env } = process.env
  const { stdout } = await run(process.execPath, [file], { env })
  return JSON.parse(stdout)
}

/** How esbuild is called, where it is installed. */
interface Esbuild {
  transform(code: string, options: object): Promise<{ code: string }>
}

function esbuild(): Esbuild | undefined {
  try {
    return require('esbuild') as Esbuild
  } catch {
    return undefined
  }
}

describe.each([{ form: 'standard' }, { form: 'legacy' }])('$form decorators cache methods', ({ form }) => {
  const legacy = form === 'legacy'

  it('compiled_by_tsc', async () => {
    const folder = project()
    const options = {
      ...{
        target: 'es2022',
        module: 'nodenext',
        strict: true,
        experimentalDecorators: legacy,
        outDir: 'out',
      },
      ...{
        lib: ['es2023', 'esnext.disposable', 'esnext.decorators'],
        types: ['node'],
        noImplicitOverride: true,
      },
    }
    writeFileSync(
      join(folder, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['decorated.ts'] }),
    )
    const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
    await run(process.execPath, [tsc, '-p', folder]).catch(({ stdout }) => expect.fail(stdout))
    expect(await output(join(folder, 'out/decorated.js'))).toEqual(EXPECTED)
  })

  it('compiled_by_swc', async () => {
    const { transform } = await import('@swc/core')
    const folder = project()
    const { code } = await transform(source, {
      filename: 'decorated.ts',
      swcrc: false,
      module: { type: 'es6' },
      jsc: {
        target: 'es2022',
        parser: { syntax: 'typescript', decorators: true },
        transform: legacy ? { legacyDecorator: true } : { decoratorVersion: '2022-03' },
      },
    })
    writeFileSync(join(folder, 'decorated.js'), code)
    expect(await output(join(folder, 'decorated.js'))).toEqual(EXPECTED)
  })

  it.skipIf(esbuild() === undefined)('compiled_by_esbuild', async () => {
    const folder = project()
    const tsconfigRaw = { compilerOptions: { experimentalDecorators: legacy } }
    const made = await esbuild()?.transform(source, { loader: 'ts', target: 'es2022', tsconfigRaw })
    writeFileSync(join(folder, 'decorated.js'), made?.code ?? '')
    expect(await output(join(folder, 'decorated.js'))).toEqual(EXPECTED)
  })
})

describe('by hand', () => {
  it('only_methods_are_decorated', async () => {
    const cache = openCache()
    const decorate = cached({ cache }) as (...args: unknown[]) => unknown
    expect(await codeOf(() => decorate(class {}, { kind: 'class', name: 'C' }))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => decorate({}, 'field'))).toBe('E_INVALID_OPTION')
    expect(await codeOf(() => decorate({}, 'getter', { get: () => 1 }))).toBe('E_INVALID_OPTION')
  })

  it('a_method_that_another_decorator_wraps_is_named_after_its_class_for_each_child', async () => {
    const cache = openCache()
    let calls = 0
    const context = { kind: 'method', name: 'm', addInitializer() {} }
    class Parent {
      async m(): Promise<number> {
        return 0
      }
    }
    const decorate = cached({ cache }) as (...args: unknown[]) => (this: unknown) => Promise<number>
    const inner = decorate(async () => ++calls, context)
    Parent.prototype.m = function (this: Parent) {
      return inner.call(this)
    }
    class First extends Parent {}
    class Second extends Parent {}
    expect(await new First().m()).toBe(1)
    expect(await new Second().m()).toBe(1)
    for await (const key of cache.keys()) expect(key).toMatchObject({ name: 'Parent.m' })
  })

  it('a_legacy_method_called_without_its_object_has_the_same_key', async () => {
    const cache = openCache()
    class Api {}
    const decorate = cached({ cache }) as (...args: unknown[]) => {
      value: (this: unknown) => Promise<number>
    }
    const { value } = decorate(Api.prototype, 'm', { value: async () => 1 })
    expect(await value.call(undefined)).toBe(1)
    for await (const key of cache.keys()) expect(key).toMatchObject({ name: 'Api.m' })
    expect(cache).toBeInstanceOf(Cache)
  })
})
