import CAvalo

extension UpgradeHead {
  /// The `101` that accepts a handshake (RFC 6455 §4.2.2), with the subprotocol chosen among those offered. `key` comes
  /// from `.upgrade`.
  public static func acceptResponse(key: [UInt8], subprotocol: String?) -> [UInt8] {
    precondition(key.count == 24, "a checked key has 24 characters, not \(key.count)")
    var response: [UInt8] = []
    response.reserveCapacity(192)
    response.append(contentsOf: acceptHead)
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 28) { accept in
      key.withUnsafeBufferPointer { avalo_websocket_accept($0.baseAddress, accept.baseAddress) }
      response.append(contentsOf: accept)
    }
    if let subprotocol {
      response.append(contentsOf: "\r\nSec-WebSocket-Protocol: ".utf8)
      response.append(contentsOf: subprotocol.utf8)
    }
    response.append(contentsOf: "\r\n\r\n".utf8)
    return response
  }

  private static let acceptHead = Array(
    """
    HTTP/1.1 101 Switching Protocols\r
    Upgrade: websocket\r
    Connection: Upgrade\r
    Sec-WebSocket-Accept:\u{20}
    """.utf8)
}
