/** Where the new system gets the kernel’s modules from: a modloop, or the initrd. */

import type { ParameterName } from '../../boot/parameters.ts'
import type { RamBootPlan } from '../../boot/plan.ts'
import type { Settings } from '../../boot/settings.ts'
import { wantsMedia } from '../../media/media.ts'
import { redactUrl } from '../../network/url.ts'
import { reasonsFor, type Step } from './step.ts'

export function modulesSteps(
  plan: RamBootPlan,
  settings: Settings,
  online: readonly string[],
): readonly Step[] {
  const because = (name: ParameterName) => reasonsFor(settings, [name])
  const { modules } = plan.root
  switch (modules.kind) {
    case 'keep':
      return [
        {
          phase: 'modules',
          says: [
            'Copies the initrd’s kernel modules into the new system, and takes its modloop service out of the runlevel.',
          ],
          because: because('diskless.modules'),
          after: ['packages'],
          asks: [],
        },
      ]
    case 'none':
      return []
    case 'fetched-modloop':
      return [
        {
          phase: 'modloop',
          says: [
            `Fetches the modloop ${modules.urls.map(redactUrl).join(' or, failing that, ')} beside the packages, and puts it where the new system’s service finds it.`,
            'It must have modules of this kernel; if the builder took in its digest, it must be that one.',
          ],
          because: because('modloop'),
          after: ['root', ...online],
          asks: modules.urls.map((url) => ({ whom: redactUrl(url), what: 'the modloop' })),
        },
      ]
    case 'modloop':
      if (!wantsMedia(plan.root)) return []
      return [
        {
          phase: 'modloop',
          says: [
            `Looks at the modloop ${modules.path === undefined ? 'that a medium has' : modules.path}: it must have modules of this kernel.`,
          ],
          because: because('modloop'),
          after: ['root', 'media'],
          asks: [],
        },
      ]
  }
}
