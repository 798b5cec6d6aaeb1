import AvaloCore

/// What a client says in one frame of `avalo.v1`. Shapes: docs/protocol/client.md.
public enum ClientFrame: Sendable, Equatable {
  /// Who connects; on a live connection, with a token alone, a new token.
  case connect(ConnectRequest)
  /// A function's call, answered with its id.
  case call(id: Int, name: String, data: JSONText)
  /// Everything up to each of these is processed.
  case acknowledge([String: Position])
  /// Asks for a pong.
  case ping(id: Int?)

  /// As it goes over the wire.
  public var text: JSONText {
    JSONText { json in
      json.object { json in
        switch self {
        case .connect(let request):
          json.key("connect")
          json.object {
            if case .token(let token) = request.authentication { $0.member("token", token) }
            request.write(to: &$0)
          }
        case .call(let id, let name, let data):
          json.member("id", id)
          json.member("call", name)
          json.key("data")
          json.raw(data.bytes)
        case .acknowledge(let positions):
          json.key("ack")
          json.array { json in
            for (topic, position) in positions.sorted(by: { $0.key < $1.key }) {
              json.object {
                $0.member("topic", topic)
                $0.member("epoch", position.epoch.description)
                $0.member("offset", position.offset)
              }
            }
          }
        case .ping(let id):
          if let id { json.member("id", id) }
          json.key("ping")
          json.raw("{}")
        }
      }
    }
  }
}
