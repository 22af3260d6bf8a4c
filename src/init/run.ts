/** The boot is tried until it hands over, or until something else is decided. */
import type { Sys } from '../sys/index.ts'
import { openEventPort } from './events.ts'
import { handOver } from './handoff.ts'
import { prepareBoot } from './main.ts'
import { recover } from './recovery.ts'
import { openScreen } from './screen.ts'
import { type Story, tellStory } from './story.ts'
import { timelinePath } from './timeline.ts'

export async function run(sys: Sys): Promise<never> {
  const screen = openScreen(sys)
  const events = openEventPort(sys)
  const story = tellStory(sys, screen, events)
  const { machine, boot } = prepareBoot(sys, story, screen)
  for (;;) {
    try {
      const handoff = await boot()
      events.send({ event: 'handoff', at: sys.clock.now(), init: handoff.init, timeline: story.timeline() })
      await writeTimeline(sys, story)
      return await handOver(sys, handoff)
    } catch (error) {
      const plan = story.failure?.phase === 'machine' ? undefined : await machine()
      story.tryAgain(await recover({ sys, screen, story, events, plan }, error))
    }
  }
}

async function writeTimeline(sys: Sys, story: Story): Promise<void> {
  await sys.files.writeText(timelinePath, `${JSON.stringify(story.timeline(), undefined, 2)}\n`)
  await sys.files.writeText('/run/diskless/log', `${story.log.join('\n')}\n`)
}
