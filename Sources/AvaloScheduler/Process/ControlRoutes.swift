import AvaloCore
import AvaloStore
import AvaloSystem

/// What people ask of the log, as HTTP with JSON on the worker's own socket: avalod's control socket has it below
/// `/workers/scheduler`. Described in docs/protocol/control.md.
struct ControlRoutes: Sendable {
  let engine: Engine
  let pages: ControlPages

  func add(to routes: HTTPRoutes) {
    routes.add("GET", "/log") { _ in await respond(to: .log) }
    routes.add("GET", "/topics") { request in
      guard let name = request.parameter("name"), Topic(name) != nil else {
        return ControlRoutes.refusal(400, "name a topic: /topics?name=user:ann")
      }
      return await respond(to: .topic(name))
    }
    routes.add("GET", "/events") { await events($0) }
    routes.add("GET", "/devices") { request in
      guard let user = request.parameter("user"), Topic.isWellFormedID(user.utf8) else {
        return ControlRoutes.refusal(400, "name a user: /devices?user=ann")
      }
      return await respond(to: .devices(user: user))
    }
    routes.add("GET", "/broadcasts") { _ in await respond(to: .broadcasts) }
    TraceRoute(control: self, wall: pages.wall).add(to: routes)
    routes.add("GET", "/followers") { _ in await respond(to: .followers) }
    routes.add("DELETE", "/followers") { request in
      guard let name = request.parameter("name"), !name.isEmpty else {
        return ControlRoutes.refusal(400, "name a follower: /followers?name=webhook")
      }
      return await respond(to: .forgetFollower(name))
    }
    routes.add("POST", "/trust-clock") { _ in await respond(to: .trustClock) }
  }

  private func respond(to question: Question) async -> HTTPResponse {
    ControlRoutes.response(await answer(question), to: question)
  }

  func answer(_ question: Question) async -> Answer {
    await withCheckedContinuation { continuation in
      if !engine.post(.ask(question, reply: { continuation.resume(returning: $0) })) {
        continuation.resume(returning: .failed("the scheduler is stopping"))
      }
    }
  }

  // MARK: Events

  /// A page of a topic: what lies behind `after`, waiting up to `wait` seconds for something to.
  private func events(_ request: HTTPRequest) async -> HTTPResponse {
    func number(_ name: StaticString, default fallback: Int64) -> Int64? {
      guard let text = request.parameter("\(name)") else { return fallback }
      return Int64(text).flatMap { $0 >= 0 ? $0 : nil }
    }
    guard let name = request.parameter("topic"), Topic(name) != nil, let after = number("after", default: 0),
      let limit = number("limit", default: Int64(SchedulerLimits.controlRowsDefault)), limit > 0,
      let wait = number("wait", default: 0)
    else { return ControlRoutes.refusal(400, "ask like this: /events?topic=user:ann&after=0&limit=100&wait=20") }
    let question = Question.follow(
      name, after: UInt64(after), milliseconds: min(wait * 1000, SchedulerLimits.followMillisecondsMax))
    let answer = await answer(question)
    guard case .topic(let topic) = answer else { return ControlRoutes.response(answer, to: question) }
    do throws(LogError) {
      let outcome = try await pages.read(
        name, epoch: topic.epoch, after: UInt64(after), upTo: topic.head, limit: Int(min(limit, 10_000)))
      guard case .page(let page) = outcome else {
        return ControlRoutes.refusal(503, "the log has begun anew: ask again")
      }
      return .json(EventDocument.page(page, of: topic))
    } catch {
      return ControlRoutes.refusal(503, "\(error)")
    }
  }

  // MARK: Answering

  static func response(_ answer: Answer, to question: Question) -> HTTPResponse {
    var json = JSONWriter()
    switch answer {
    case .topic(let topic):
      json.object {
        $0.member("name", topic.name)
        $0.member("epoch", topic.epoch.description)
        $0.member("head", topic.head)
        $0.member("floor", topic.floor)
        $0.member("watchers", topic.watchers)
        $0.member("bytes", topic.bytes)
      }
    case .log(let report): json.object { report.write(to: &$0) }
    case .devices(let devices, let open):
      json.object {
        $0.key("devices")
        $0.array { for device in devices { device.write(to: &$0, isOpen: open.contains(device.id)) } }
      }
    case .broadcasts(let broadcasts):
      json.object {
        $0.key("broadcasts")
        $0.array { for broadcast in broadcasts { broadcast.write(to: &$0) } }
      }
    case .followers(let followers, let head, let kept):
      json.object {
        $0.member("head", head)
        $0.member("kept", kept)
        $0.key("followers")
        $0.array { for follower in followers { follower.write(to: &$0) } }
      }
    case .done: json.object { $0.member("done", true) }
    case .unknown:
      switch question {
      case .topic(let name), .follow(let name, _, _): return refusal(404, "nothing was ever published to \(name)")
      case .forgetFollower(let name): return refusal(404, "nobody follows the log as \(name)")
      default: return refusal(404, "unknown")
      }
    case .failed(let reason): return refusal(503, reason)
    }
    return .json(json.bytes)
  }

  static func refusal(_ status: Int, _ message: String) -> HTTPResponse {
    var json = JSONWriter()
    json.object { $0.member("error", message) }
    return .json(json.bytes, status: status)
  }
}

extension LogReport {
  fileprivate func write(to json: inout JSONWriter) {
    json.member("generation", generation)
    json.member("durability", durability)
    json.member("healthy", isHealthy)
    json.member("holdingDeletion", isHoldingDeletion)
    json.member("topics", statistics.topics)
    json.member("bytes", statistics.bytes)
    json.member("links", links)
    json.member("sessions", sessions)
    json.member("watches", watches)
  }
}

extension StoredBroadcast {
  fileprivate func write(to json: inout JSONWriter) {
    json.object {
      $0.member("owner", owner)
      $0.member("eventId", eventID)
      $0.member("state", state == .receiving ? "receiving" : "running")
      $0.member("recipients", recipients)
      $0.member("received", received)
      $0.member("done", done)
      $0.member("startedAt", started)
    }
  }
}

extension StoredDevice {
  fileprivate func write(to json: inout JSONWriter, isOpen: Bool) {
    json.object {
      $0.member("device", device)
      $0.member("platform", platform.wireName ?? "unknown")
      $0.member("seenAt", seen)
      $0.member("open", isOpen)
    }
  }
}

extension StoredFollower {
  fileprivate func write(to json: inout JSONWriter) {
    json.object {
      $0.member("name", name)
      $0.key("types")
      $0.array { for type in EventType.allCases where types.contains(type) { $0.string(type.wireName) } }
      $0.member("acknowledged", acknowledged)
      $0.member("missed", missed)
      $0.member("seenAt", seen)
    }
  }
}
