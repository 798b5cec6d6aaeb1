import AvaloCore

/// An HTTP answer, read whole.
public struct HTTPReply: Sendable {
  public var status: Int
  /// Names in lower case.
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]

  public init(status: Int, headers: [(name: String, value: String)], body: [UInt8]) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
  public var text: String { String(decoding: body, as: UTF8.self) }
}

/// An HTTP request, written whole.
public struct HTTPRequest: Sendable {
  public var method: String
  /// Path and query.
  public var target: String
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]

  public init(_ method: String, _ target: String, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.method = method
    self.target = target
    self.headers = headers
    self.body = body
  }
}
