import AvaloCore
import AvaloReactor

/// Decides on a WebSocket handshake, on the accepting loop: is it for us, and from a page that may?
///
/// An instance that drains takes it all the same: the connection was accepted before, and is sent on like the others, which
/// costs its client less than a refusal.
struct UpgradePolicy: Sendable {
  static let subprotocol = "avalo.v1"

  let access: SharedAccess
  @Sendable func decide(_ request: UpgradeRequest) -> UpgradeDecision {
    let cors = access.current.cors
    let headers = cors.headers(for: request.origin)
    if let origin = request.origin, !cors.allows(origin) {
      return refuse(
        403, headers, .permissionDenied, "pages of this origin may not connect: it is not among cors.origins")
    }
    guard !request.protocols.isEmpty else { return .accept(subprotocol: nil) }
    guard request.protocols.contains(UpgradePolicy.subprotocol) else {
      return refuse(400, headers, .invalidArgument, "offer the subprotocol \(UpgradePolicy.subprotocol)")
    }
    return .accept(subprotocol: UpgradePolicy.subprotocol)
  }

  private func refuse(
    _ status: Int, _ headers: [(String, String)], _ code: StatusCode, _ message: String
  ) -> UpgradeDecision {
    var json = JSONWriter(capacity: 128)
    json.object { CallAnswer.write(.failure(CallError(code, message)), to: &$0) }
    return .refuse(
      status: status, headers: [("Content-Type", "application/json")] + headers,
      body: String(decoding: json.bytes, as: UTF8.self))
  }
}
