import AvaloCore
import AvaloStore
import AvaloSystem

/// What people ask of the log, as HTTP with JSON on the worker's own socket: avalod's control socket has it below
/// `/workers/scheduler`. Described in docs/protocol/control.md.
struct ControlRoutes {
  let engine: Engine

  func add(to routes: HTTPRoutes) {
    routes.add("GET", "/log") { _ in await answer(.log) }
    routes.add("GET", "/topics") { request in
      guard let name = request.parameter("name"), Topic(name) != nil else {
        return ControlRoutes.refusal(400, "name a topic: /topics?name=user:ann")
      }
      return await answer(.topic(name))
    }
    routes.add("GET", "/devices") { request in
      guard let user = request.parameter("user"), Topic.isWellFormedID(user.utf8) else {
        return ControlRoutes.refusal(400, "name a user: /devices?user=ann")
      }
      return await answer(.devices(user: user))
    }
    routes.add("POST", "/trust-clock") { _ in await answer(.trustClock) }
  }

  private func answer(_ question: Question) async -> HTTPResponse {
    let answer = await withCheckedContinuation { continuation in
      if !engine.post(.ask(question, reply: { continuation.resume(returning: $0) })) {
        continuation.resume(returning: .failed("the scheduler is stopping"))
      }
    }
    return ControlRoutes.response(answer, to: question)
  }

  static func response(_ answer: Answer, to question: Question) -> HTTPResponse {
    var json = JSONWriter()
    switch answer {
    case .topic(let name, let epoch, let head, let floor, let watchers, let bytes):
      json.object {
        $0.member("name", name)
        $0.member("epoch", epoch)
        $0.member("head", head)
        $0.member("floor", floor)
        $0.member("watchers", watchers)
        $0.member("bytes", bytes)
      }
    case .log(let report): json.object { report.write(to: &$0) }
    case .devices(let devices, let open):
      json.object {
        $0.key("devices")
        $0.array { for device in devices { device.write(to: &$0, isOpen: open.contains(device.id)) } }
      }
    case .done: json.object { $0.member("done", true) }
    case .unknown:
      guard case .topic(let name) = question else { return refusal(404, "unknown") }
      return refusal(404, "nothing was ever published to \(name)")
    case .failed(let reason): return refusal(503, reason)
    }
    return .json(json.bytes)
  }

  private static func refusal(_ status: Int, _ message: String) -> HTTPResponse {
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
