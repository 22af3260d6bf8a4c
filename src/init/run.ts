/** The boot is tried until it hands over, or until something else is decided. */
import type { Sys } from '../sys/index.ts'
import { openEventPort } from './events.ts'
import { handOver } from './handoff.ts'
import type { InstalledHook } from './hooks.ts'
import { tellEverybody } from './listeners.ts'
import { prepareBoot } from './main.ts'
import { recover } from './recovery.ts'
import { openReporter } from './report.ts'
import { openScreen } from './screen.ts'
import { type Story, tellStory } from './story.ts'
import { timelinePath } from './timeline.ts'

export async function run(sys: Sys, hooks: readonly InstalledHook[] = []): Promise<never> {
  const screen = openScreen(sys)
  const reporter = openReporter(sys)
  const events = tellEverybody(openEventPort(sys), reporter)
  const story = tellStory(sys, screen, events)
  const { machine, boot } = prepareBoot(sys, story, screen, reporter, hooks)
  for (;;) {
    try {
      const handoff = await boot()
      const timeline = story.timeline()
      const event = { event: 'handoff', at: sys.clock.now(), init: handoff.init, timeline }
      await Promise.all([writeTimeline(sys, story), events.last(event, lastWordMs)])
      return await handOver(sys, handoff)
    } catch (error) {
      const plan = story.failure?.phase === 'machine' ? undefined : await machine()
      story.tryAgain(await recover({ sys, screen, story, events, plan }, error))
    }
  }
}

/** A boot is not held up longer than this by a receiver that does not answer. */
const lastWordMs = 1000

async function writeTimeline(sys: Sys, story: Story): Promise<void> {
  await sys.files.writeText(timelinePath, `${JSON.stringify(story.timeline(), undefined, 2)}\n`)
  await sys.files.writeText('/run/diskless/log', `${story.log.join('\n')}\n`)
}
