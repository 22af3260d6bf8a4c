/** Kernels, images and files of apk-tools 3, for a person. */

import { showBytes, showCount } from '../../boot/format.ts'
import type { Sheet } from '../sheet.ts'
import type { AdbFacts } from './adb.ts'
import type { ImageFacts } from './image.ts'
import type { KernelFacts } from './kernel.ts'
import type { InspectOptions } from './report.ts'
import type { TopOfImage } from './squashfs.ts'

export function kernelSheet(facts: KernelFacts, { subject }: InspectOptions): Sheet {
  const { version, build, protocol, longestCommandLine, efi, architecture } = facts
  return {
    title: `${subject}: a kernel, ${showBytes(facts.size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['version', version ?? 'not told: the image is compressed as a whole'],
              ...(build === undefined ? [] : [['build', build] as const]),
              ['architecture', architecture],
              [
                'starts by',
                [efi ? 'EFI itself' : '', 'a boot loader'].filter((by) => by !== '').join(', or '),
              ],
              ...(protocol === undefined ? [] : [['boot protocol', protocol] as const]),
              ...(longestCommandLine === undefined
                ? []
                : [['command line', `up to ${longestCommandLine} characters`] as const]),
            ],
          },
        ],
      },
    ],
  }
}

export function imageSheet(
  facts: ImageFacts,
  top: TopOfImage | undefined,
  { subject }: InspectOptions,
): Sheet {
  const { type, size, length, compression, blockSize, inodes, made } = facts
  return {
    title: `${subject}: a ${type} image, ${showBytes(size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'facts',
            rows: [
              ['compression', compression],
              ['blocks of', showBytes(blockSize)],
              ['holds', showCount(inodes, 'file, directory or link', 'files, directories and links')],
              ['made', made],
              ['used', `${length} of ${size} bytes`],
              ...(top === undefined ? [] : [['at its root', top.names.join(' ') || 'nothing'] as const]),
              ...(top !== undefined && top.kernels.length > 0
                ? [
                    ['kernel', top.kernels.join(', ')] as const,
                    [
                      'a modloop',
                      'modloop=URL; diskless build --modloop makes init accept this one alone',
                    ] as const,
                  ]
                : [
                    [
                      'boots with',
                      'root=live:URL, or from inside an initrd: diskless build --image',
                    ] as const,
                  ]),
            ],
          },
        ],
      },
    ],
  }
}

export function adbSheet({ size, schema }: AdbFacts, { subject }: InspectOptions): Sheet {
  const what = schema === 'unknown' ? 'a file' : schema === 'index' ? 'an index' : `a ${schema}`
  return {
    title: `${subject}: ${what} of apk-tools 3 (ADB), ${showBytes(size)}`,
    sections: [
      {
        parts: [
          {
            kind: 'notes',
            tone: 'bad',
            lines: [
              'init installs what apk-tools 2 makes: APKINDEX.tar.gz and packages of version 2. Alpine’s mirrors have them of every release up to now.',
            ],
          },
        ],
      },
    ],
  }
}
