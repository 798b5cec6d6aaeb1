import AvaloCore

/// The first frame of every link, from the side that connected.
public struct Hello: WireMessage, Equatable {
  public static let kind = FrameKind.hello
  /// The version both ends of a link must speak; raised with any change of a body's shape.
  public static let currentVersion: UInt16 = 4

  public var version: UInt16
  /// What the connecting process is, such as `gateway`.
  public var role: String
  /// Its slot, such as `gateway.0`, for logs.
  public var instance: String
  /// Drawn when the process started: tells one life of a slot from the next.
  public var incarnation: UInt64

  public init(version: UInt16 = Hello.currentVersion, role: String, instance: String, incarnation: UInt64) {
    self.version = version
    self.role = role
    self.instance = instance
    self.incarnation = incarnation
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(version)
    writer.string(role)
    writer.string(instance)
    writer.integer(incarnation)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    version = try reader.integer()
    role = try reader.string()
    instance = try reader.string()
    incarnation = try reader.integer()
  }
}

/// Who links: the ``Hello/role``.
public enum LinkRole {
  /// Has sessions, and puts changes of access into force.
  public static let gateway = "gateway"
  /// Reads and publishes for itself; docs/protocol/wire.md says what it may send.
  public static let plugin = "plugin"
  public static let all = [gateway, plugin]
}

/// The answer to a ``Hello`` that was accepted. A refused one is answered by ``Failed`` and a close.
public struct Welcome: WireMessage, Equatable {
  public static let kind = FrameKind.welcome
  public var version: UInt16
  /// The log's generation; 0 from a worker without a log.
  public var generation: UInt32
  /// Requests the connecting side may have unanswered at a time.
  public var credit: UInt32

  public init(version: UInt16 = Hello.currentVersion, generation: UInt32, credit: UInt32) {
    self.version = version
    self.generation = generation
    self.credit = credit
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(version)
    writer.integer(generation)
    writer.integer(credit)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    version = try reader.integer()
    generation = try reader.integer()
    credit = try reader.integer()
  }
}

/// A request's refusal, on the request's correlation.
public struct Failed: WireMessage, Equatable, Error {
  public static let kind = FrameKind.failed
  public var code: StatusCode
  /// A sentence for the caller.
  public var message: String
  /// 0 when trying again makes no sense.
  public var retryAfterMilliseconds: UInt32

  public init(_ code: StatusCode, _ message: String, retryAfterMilliseconds: UInt32 = 0) {
    self.code = code
    self.message = message
    self.retryAfterMilliseconds = retryAfterMilliseconds
  }

  public func encode(into writer: inout WireWriter) {
    writer.integer(code.rawValue)
    writer.string(message)
    writer.integer(retryAfterMilliseconds)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    guard let code = StatusCode(rawValue: try reader.integer()) else { throw .malformed("status code") }
    self.code = code
    message = try reader.string()
    retryAfterMilliseconds = try reader.integer()
  }
}

/// Asks the other side to answer with ``Probed``: a link that is open but silent is found out.
public struct Probe: WireMessage, Equatable {
  public static let kind = FrameKind.probe
  public init() {}
  public func encode(into writer: inout WireWriter) {}
  public init(from reader: inout WireReader) throws(WireError) {}
}

/// Answers a ``Probe``, on its correlation.
public struct Probed: WireMessage, Equatable {
  public static let kind = FrameKind.probed
  public init() {}
  public func encode(into writer: inout WireWriter) {}
  public init(from reader: inout WireReader) throws(WireError) {}
}
