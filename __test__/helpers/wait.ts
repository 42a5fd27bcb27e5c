/** For `vi.waitFor` and `expect.poll`: a second is too short on a machine that has more to do. */
export const PATIENTLY = { timeout: 300_000 }
