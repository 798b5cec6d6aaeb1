/// A request as a handler sees it: whole, within bounds.
public struct HTTPRequest: Sendable, Equatable {
  public var method: String
  /// As it was sent, from the first `/` up to `?`; not decoded.
  public var path: String
  /// As it was sent, behind `?`; empty without one.
  public var query: String
  public var headers: HTTPFields
  public var body: [UInt8]
  /// Who connected, on a Unix socket: the user id the kernel vouches for (SO_PEERCRED). `nil` over TCP.
  public var peerUserID: UInt32?

  public init(
    method: String, path: String, query: String = "", headers: HTTPFields = [:], body: [UInt8] = [],
    peerUserID: UInt32? = nil
  ) {
    self.method = method
    self.path = path
    self.query = query
    self.headers = headers
    self.body = body
    self.peerUserID = peerUserID
  }

  /// The first value of a query parameter, decoded (`+` is a space); `nil` when it is absent or decodes to no UTF-8.
  public func parameter(_ name: String) -> String? {
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard HTTPRequest.decoded(parts[0]) == name else { continue }
      return parts.count == 2 ? HTTPRequest.decoded(parts[1]) : ""
    }
    return nil
  }

  private static func decoded(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(0x20)
      case UInt8(ascii: "%"):
        guard let high = rest.popFirst().flatMap(hexadecimal), let low = rest.popFirst().flatMap(hexadecimal) else {
          return nil
        }
        bytes.append(high << 4 | low)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func hexadecimal(_ byte: UInt8) -> UInt8? {
    Character(Unicode.Scalar(byte)).hexDigitValue.map(UInt8.init)
  }
}

/// The answer to a request. `Content-Length`, `Connection` and `Date` are the server's business.
public struct HTTPResponse: Sendable, Equatable {
  public var status: Int
  public var headers: HTTPFields
  public var body: [UInt8]

  public init(status: Int = 200, headers: HTTPFields = [:], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// Lines for people; a line break is added.
  public static func text(_ text: String, status: Int = 200) -> HTTPResponse {
    HTTPResponse(
      status: status, headers: ["Content-Type": "text/plain; charset=utf-8"], body: Array((text + "\n").utf8))
  }
  /// JSON text.
  public static func json(_ body: [UInt8], status: Int = 200) -> HTTPResponse {
    HTTPResponse(status: status, headers: ["Content-Type": "application/json"], body: body)
  }
  public static func json(_ node: SettingsNode, status: Int = 200) -> HTTPResponse { json(node.json(), status: status) }
}

/// Header fields in order; names compare without case.
public struct HTTPFields: Sendable, Equatable, ExpressibleByDictionaryLiteral, Sequence {
  public private(set) var fields: [Field] = []
  public struct Field: Sendable, Equatable {
    public var name: String
    public var value: String
  }

  public init() {}
  public init(dictionaryLiteral elements: (String, String)...) { for (name, value) in elements { add(name, value) } }
  public mutating func add(_ name: String, _ value: String) { fields.append(Field(name: name, value: value)) }
  /// The first value; setting replaces all of that name.
  public subscript(_ name: String) -> String? {
    get { fields.first { HTTPFields.same($0.name, name) }?.value }
    set {
      fields.removeAll { HTTPFields.same($0.name, name) }
      if let newValue { add(name, newValue) }
    }
  }
  public func makeIterator() -> IndexingIterator<[Field]> { fields.makeIterator() }

  private static func same(_ a: String, _ b: String) -> Bool {
    a.utf8.elementsEqual(b.utf8) { lower($0) == lower($1) }
  }
  private static func lower(_ byte: UInt8) -> UInt8 {
    (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
  }
}
