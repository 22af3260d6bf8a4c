/** The rehearsals of all examples, by the command that has them. */

import { bootRehearsals } from './boot.ts'
import { buildRehearsals } from './build.ts'
import { fleetRehearsals } from './fleet.ts'
import { overlayRehearsals } from './overlay.ts'
import type { Props } from './props.ts'
import { publishRehearsals } from './publish.ts'
import { questionRehearsals } from './questions.ts'
import type { Rehearsals } from './rehearsal.ts'
import { rootRehearsals } from './root.ts'

export const rehearsalsOf = (props: Props): Readonly<Record<string, Rehearsals>> => ({
  build: buildRehearsals(props),
  publish: publishRehearsals(props),
  overlay: overlayRehearsals(),
  boot: bootRehearsals(props),
  ...fleetRehearsals(props),
  ...questionRehearsals(props),
  ...rootRehearsals(props),
})
