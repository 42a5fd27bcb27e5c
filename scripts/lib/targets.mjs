/** Node's names for the platform of a target triple; for this machine's without one. */
export function nodeNames(target) {
  if (target === undefined) return { system: process.platform, arch: process.arch, abi: hostAbi() }
  const [cpu, , os, abi] = target.split('-')
  const system = { windows: 'win32' }[os] ?? os
  return { system, arch: cpu === 'x86_64' ? 'x64' : 'arm64', abi }
}

function hostAbi() {
  if (process.platform === 'win32') return 'msvc'
  if (process.platform !== 'linux') return undefined
  return process.report.getReport().header.glibcVersionRuntime ? 'gnu' : 'musl'
}

/** The name that the napi CLI gives a platform. */
export function platformName(target) {
  const { system, arch, abi } = nodeNames(target)
  return [system, arch, abi].filter((part) => part !== undefined).join('-')
}
