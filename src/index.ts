/** What others import from 'diskless': hooks and the types of a boot, and the configuration of what is published. */

export {
  type BootedConfig,
  type BuildConfig,
  type BuiltConfig,
  type DisklessConfig,
  defineConfig,
  type MachineConfig,
  type NetworkConfig,
  type SiteConfig,
} from './cli/publish/config.ts'
export * from './init/hook.ts'
