import AvaloCore
import AvaloLink
import AvaloWire
import AvaloWorker
import Logging
import NIOCore

/// What the log tells who follows it. All calls come on the link's loop.
protocol FollowerDelegate: AnyObject {
  /// The link is up and the log knows us: under this generation, and up to where we had acknowledged.
  func following(_ following: Following)
  func page(_ page: FollowedPage)
  /// There is more, up to there.
  func grew(_ grew: FollowedGrew)
  /// What was read of it up to there is nobody's any more.
  func erased(_ erased: FollowedErased)
  /// The link is gone, and all that was asked with it; ``following(_:)`` says that it is back.
  func lost()
  /// The log could not read the page that was asked for.
  func readFailed()
  /// What became of a publish.
  func published(_ number: UInt32, _ result: Result<Void, Failed>)
}

/// The link to the scheduler of one who follows the log and publishes: docs/protocol/wire.md, "Plugins". Confined to its
/// loop.
final class FollowerLink: LinkDelegate {
  private let name: String
  private var types: EventTypes
  private unowned let delegate: any FollowerDelegate
  private let log: Logger
  private var client: LinkClient?
  private var link: Link?
  private(set) var isFollowing = false
  private(set) var isReading = false
  /// Why the log does not let us follow: said once, not at every try.
  private var refusal: String?

  /// Correlations; publishes have those beyond.
  private static let follow: UInt32 = 1
  private static let read: UInt32 = 2
  private var lastPublish: UInt32 = 16

  init(name: String, types: EventTypes, delegate: any FollowerDelegate, log: Logger) {
    self.name = name
    self.types = types
    self.delegate = delegate
    self.log = log
  }

  func start(_ context: WorkerContext) {
    let hello = Hello(role: LinkRole.plugin, instance: context.instance, incarnation: context.incarnation)
    let client = LinkClient(
      path: context.runtimeDirectory + "/scheduler.sock", name: "scheduler", on: context.eventLoop, hello: { hello },
      delegate: self, log: log)
    self.client = client
    client.start()
  }

  func stop() { client?.stop() }

  /// Other types are followed from now on.
  func follow(_ types: EventTypes) {
    self.types = types
    isFollowing = false
    follow()
  }

  private func follow() { link?.send(Follow(name: name, types: types), correlation: FollowerLink.follow) }

  /// Asks for a page, unless there is one on its way or nobody to ask; whether it did.
  func read(after sequence: UInt64) -> Bool {
    guard let link, isFollowing, !isReading else { return false }
    isReading = true
    link.send(
      ReadFollowed(types: types, after: sequence, bytesMax: WebhookLimits.pageBytes), correlation: FollowerLink.read)
    return true
  }

  func acknowledge(_ sequence: UInt64) { link?.send(AcknowledgeFollowed(sequence: sequence)) }

  /// Publishes; the number that its answer has, or `nil` without a link.
  func publish(_ publish: Publish) -> UInt32? {
    guard let link else { return nil }
    lastPublish = max(17, lastPublish &+ 1)
    link.send(publish, correlation: lastPublish)
    return lastPublish
  }

  // MARK: - LinkDelegate

  func linkOpened(_ link: Link, welcome: Welcome?) {
    self.link = link
    follow()
  }

  func linkClosed(_ link: Link, reason: String) {
    guard self.link === link else { return }
    self.link = nil
    isFollowing = false
    isReading = false
    delegate.lost()
  }

  func linkDrained(_ link: Link) {}

  func link(_ link: Link, received frames: ByteBuffer) {
    link.walk(frames) { head, body in try self.received(head, body) }
  }

  private func received(_ head: Frame.Head, _ body: UnsafeRawBufferPointer) throws(WireError) {
    switch head.kind {
    case .following:
      let following = try Following(body: body)
      isFollowing = true
      refusal = nil
      delegate.following(following)
    case .followedPage:
      let page = try FollowedPage(body: body)
      isReading = false
      delegate.page(page)
    case .followedGrew: delegate.grew(try FollowedGrew(body: body))
    case .followedErased: delegate.erased(try FollowedErased(body: body))
    case .published:
      _ = try Published(body: body)
      delegate.published(head.correlation, .success(()))
    case .failed: failed(head.correlation, try Failed(body: body))
    default: throw .unexpectedKind(head.kind.rawValue)
    }
  }

  private func failed(_ correlation: UInt32, _ failed: Failed) {
    switch correlation {
    case FollowerLink.follow:
      if refusal != failed.message {
        log.error("the log may not be followed: trying again", metadata: ["reason": "\(failed.message)"])
      }
      refusal = failed.message
      link?.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(WebhookLimits.linkRetryMilliseconds)) {
        [weak self] in
        if let self, !isFollowing { follow() }
      }
    case FollowerLink.read:
      isReading = false
      delegate.readFailed()
    default: delegate.published(correlation, .failure(failed))
    }
  }
}
