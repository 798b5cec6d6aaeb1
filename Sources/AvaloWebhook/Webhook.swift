import AvaloSystem
import AvaloWeb
import AvaloWorker
import NIOCore

/// The worker that posts events to a backend: a plugin, which uses nothing that others could not. docs/webhooks.md is for
/// who receives them, docs/protocol/worker.md and wire.md for who writes another one.
public final class Webhook: Worker {
  private let context: WorkerContext
  private let web: WebClient
  private let courier: NIOLoopBound<Courier>

  private init(context: WorkerContext, web: WebClient, courier: NIOLoopBound<Courier>) {
    self.context = context
    self.web = web
    self.courier = courier
  }

  public static func readSettings(_ reader: inout SettingsReader) -> WebhookSettings { WebhookSettings(&reader) }

  public static func check(_ settings: WebhookSettings) async -> [SettingsProblem] {
    do {
      _ = try SigningSecrets.read(settings.secretFile)
      return []
    } catch {
      return [SettingsProblem(path: "secret_file", message: "\(error)")]
    }
  }

  public static func start(_ context: WorkerContext, _ settings: WebhookSettings) async throws -> Webhook {
    guard context.slot == 0 else {
      throw WorkerError("one instance posts everything, in order: a second one would post it again (instances: 1)")
    }
    let web = WebClient(context.group, connectionsMax: WebhookLimits.concurrencyMax)
    let poster = try poster(settings, web, context)
    let courier = try await context.eventLoop.submit {
      let courier = Courier(context, settings, poster)
      courier.start()
      return NIOLoopBound(courier, eventLoop: context.eventLoop)
    }.get()
    return Webhook(context: context, web: web, courier: courier)
  }

  private static func poster(
    _ settings: WebhookSettings, _ web: WebClient, _ context: WorkerContext
  ) throws -> Poster {
    Poster(
      web: web, url: settings.url, timeout: settings.timeout, secrets: try SigningSecrets.read(settings.secretFile),
      wall: context.wallClock)
  }

  /// Everything, the secrets too.
  public func reload(_ settings: WebhookSettings) async throws {
    let poster = try Webhook.poster(settings, web, context)
    try await context.eventLoop.submit { self.courier.value.apply(settings, poster) }.get()
  }

  /// What is under way is waited for; what is not done by then is cut, and posted again by the next one.
  public func drain(until deadline: MonotonicInstant) async {
    try? await context.eventLoop.flatSubmit { self.courier.value.drain(until: deadline) }.get()
    try? await context.eventLoop.submit { self.courier.value.stop() }.get()
    await web.stop()
  }
}
