import AvaloMetrics
import AvaloSystem
import AvaloWeb
import Logging
import NIOCore
import Synchronization

/// The issuers whose keys this process fetches, over all reloads. Owned by the gateway, which stops it at its end.
final class RemoteKeyRing: Sendable {
  private let stateDirectory: String
  private let clock: MonotonicClock
  private let wall: WallClock
  private let log: Logger
  private let metrics: RemoteKeyMetrics
  private let web: WebClient
  private let eventLoop: any EventLoop
  private let running = Mutex<[RemoteKeys]>([])

  init(
    stateDirectory: String, web: WebClient, eventLoop: any EventLoop, clock: MonotonicClock, wall: WallClock,
    registry: MetricsRegistry, log: Logger
  ) {
    self.stateDirectory = stateDirectory
    self.web = web
    self.eventLoop = eventLoop
    self.clock = clock
    self.wall = wall
    self.log = log
    metrics = RemoteKeyMetrics(registry)
    registry.computed(
      .gauge, "avalo_jwks_age_seconds", help: "Since the issuer's keys were fetched.", labels: ["source"]
    ) { [weak self] in
      self?.running.withLock { keys in
        keys.compactMap { keys in
          keys.age.map { MetricsRegistry.Sample($0.inSeconds, labels: [keys.settings.source.rawValue]) }
        }
      } ?? []
    }
  }

  /// Those for these settings: kept where nothing changed, started where something is new, stopped where it is gone.
  func keys(for settings: [RemoteKeySettings]) -> [RemoteKeys] {
    let (now, started, stopped) = running.withLock { running in
      let before = running
      let kept = before.filter { settings.contains($0.settings) }
      let started = settings.filter { new in !kept.contains { $0.settings == new } }.map {
        RemoteKeys(
          $0, stateDirectory: stateDirectory, clock: clock, wall: wall, log: log, metrics: metrics)
      }
      running = kept + started
      return (running, started, before.filter { !settings.contains($0.settings) })
    }
    for keys in stopped { keys.stop() }
    for keys in started {
      // Ended by `stop()`.
      Task { [web, eventLoop] in
        await keys.run { url in
          let answer = try await web.get(
            url, within: GatewayLimits.webTimeMax, bytesMax: GatewayLimits.keyFileBytesMax)
          guard answer.status == 200 else { throw RemoteKeyError(status: answer.status) }
          return answer.body
        } after: { time, body in
          eventLoop.scheduleTask(in: .nanoseconds(time.nanoseconds)) { body() }
        }
      }
    }
    return now
  }

  func stop() { _ = keys(for: []) }
}

/// An issuer answered, but not with its keys.
struct RemoteKeyError: Error, CustomStringConvertible {
  var status: Int
  var description: String { "the answer was HTTP \(status)" }
}
