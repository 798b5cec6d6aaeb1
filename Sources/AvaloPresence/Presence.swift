import AvaloCore
import AvaloLink
import AvaloMetrics
import AvaloSystem
import AvaloWire
import AvaloWorker
import Dispatch
import Logging
import NIOCore

/// The worker that knows who is here.
public final class Presence: Worker {
  private let context: WorkerContext
  private let room: NIOLoopBound<PresenceRoom>
  private let store: PresenceStore

  private init(context: WorkerContext, room: NIOLoopBound<PresenceRoom>, store: PresenceStore) {
    self.context = context
    self.room = room
    self.store = store
  }

  public static func readSettings(_ reader: inout SettingsReader) -> PresenceSettings { PresenceSettings(&reader) }

  public static func repair(
    _ settings: PresenceSettings, stateDirectory: String, wallClock: WallClock
  ) throws -> String {
    try PresenceStore.repair(path: settings.path(in: stateDirectory), nowMilliseconds: wallClock.milliseconds)
  }

  public static func start(_ context: WorkerContext, _ settings: PresenceSettings) async throws -> Presence {
    let store = try PresenceStore(path: settings.path(in: context.stateDirectory))
    let registry = try store.load()
    let descriptor = try context.socket("link")
    let room = try await context.eventLoop.submit {
      NIOLoopBound(PresenceRoom(context, settings, store, registry), eventLoop: context.eventLoop)
    }.get()
    try await context.eventLoop.flatSubmit { room.value.serve(descriptor) }.get()
    context.routes.add("GET", "/connections") { _ in
      let count = try? await context.eventLoop.submit { room.value.board.connectionCount }.get()
      var json = JSONWriter()
      json.object { $0.member("connections", count ?? 0) }
      return .json(json.bytes)
    }
    let path = store.path
    Snapshot(of: path, log: context.log) { try PresenceStore.snapshot(of: path, to: $0) }.add(to: context.routes)
    return Presence(context: context, room: room, store: store)
  }

  public func reload(_ settings: PresenceSettings) async throws {
    try await context.eventLoop.submit { self.room.value.board.apply(settings) }.get()
  }

  public func drain(until deadline: MonotonicInstant) async {
    try? await context.eventLoop.submit { self.room.value.stop() }.get()
    let store = self.store
    await withCheckedContinuation { continuation in
      // It waits for the file.
      DispatchQueue.global().async {
        store.finish()
        continuation.resume()
      }
    }
  }
}
