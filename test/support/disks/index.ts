/** Disks for guests: `makeFileSystem`, `makeDisk`, and `copyTo` for those that a guest writes to. */

export { copyTo } from './cache.ts'
export { makeDisk, type Partition, type PartitionedDisk } from './disk.ts'
export { type FileSystem, type FileSystemType, makeFileSystem } from './filesystem.ts'
