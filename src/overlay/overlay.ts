/** What unpacking an overlay takes and gives. */
import type { Fetch } from '../network/fetch.ts'

export interface Overlay {
  /** Where it came from, without a password. */
  readonly from: string
  /** Bytes fetched. */
  readonly bytes: number
  /** What it holds, relative to the root, without a leading slash; directories end in `/`. */
  readonly paths: readonly string[]
}

export interface OverlayTarget {
  readonly root: string
  /** Of the card that the network came up on. */
  readonly mac: string | undefined
  readonly uuid: string | undefined
  readonly fetch: Fetch
  /** Consoles that a password is asked for on. */
  readonly consoles: () => Promise<readonly string[]>
  /** An overlay marked diskless.apkovl=optional could not be had, or a mirror has one that is not to be trusted. */
  readonly onWarning: (text: string) => void
}

/** What is mounted, as far as an overlay may be there: a part of `Media`. */
export interface MediaOfOverlay {
  /** Mount points, that of alpine_dev= first: where a plain path is looked for. */
  readonly media: readonly { readonly target: string }[]
  /** Of plan.kind `search`: paths of what looks like one at the roots of the media. */
  readonly overlays: readonly string[]
  /** Where the device of plan.kind `device` is mounted; undefined: there is no such device. */
  readonly overlayTarget: string | undefined
}
