import AvaloCore

/// Read a page of a topic for a server: from an offset, or from a moment on. Answered by ``TopicPage`` or ``Failed``.
public struct ReadTopic: WireRequest, Equatable {
  public typealias Answer = TopicPage
  public static let kind = FrameKind.readTopic
  public var topic: Topic
  /// What lies behind it; in another epoch than the topic's it means nothing, and the page begins at the oldest event.
  /// ``Epoch/none`` is the topic's own.
  public var after: Position
  /// Instead: what was accepted at this moment or later, milliseconds since 1970; 0 where ``after`` counts.
  public var sinceMilliseconds: Int64
  /// Events of the page, at most.
  public var limit: UInt32

  public init(topic: Topic, after: Position = .none, sinceMilliseconds: Int64 = 0, limit: UInt32) {
    self.topic = topic
    self.after = after
    self.sinceMilliseconds = sinceMilliseconds
    self.limit = limit
  }

  public func encode(into writer: inout WireWriter) {
    writer.string(topic.name)
    writer.position(after)
    writer.integer(sinceMilliseconds)
    writer.integer(limit)
  }
  public init(from reader: inout WireReader) throws(WireError) {
    topic = try reader.topic()
    after = try reader.position()
    sinceMilliseconds = try reader.integer()
    limit = try reader.integer()
  }
}

/// Answers ``ReadTopic``. Offsets above ``after`` up to ``through`` that are not among the rows hold no event any more.
public struct TopicPage: WireMessage, Equatable {
  public static let kind = FrameKind.topicPage
  public struct Row: Sendable, Equatable {
    public var offset: UInt64
    /// An ``EventRecord``.
    public var record: [UInt8]

    public init(offset: UInt64, record: [UInt8]) {
      self.offset = offset
      self.record = record
    }
  }
  /// The epoch and the last offset of the topic.
  public var head: Position
  /// Offsets up to and including this one were evicted.
  public var floor: UInt64
  /// Behind which the page begins.
  public var after: UInt64
  public var through: UInt64
  /// In the order of their offsets.
  public var rows: [Row]

  public init(head: Position, floor: UInt64, after: UInt64, through: UInt64, rows: [Row]) {
    self.head = head
    self.floor = floor
    self.after = after
    self.through = through
    self.rows = rows
  }

  public func encode(into writer: inout WireWriter) {
    writer.position(head)
    writer.integer(floor)
    writer.integer(after)
    writer.integer(through)
    writer.list(rows) {
      $0.integer($1.offset)
      $0.blob($1.record)
    }
  }
  public init(from reader: inout WireReader) throws(WireError) {
    head = try reader.position()
    floor = try reader.integer()
    after = try reader.integer()
    through = try reader.integer()
    var last = after
    let through = through
    rows = try reader.list { (r: inout WireReader) throws(WireError) in
      let row = Row(offset: try r.integer(), record: Array(try r.record().bytes))
      guard row.offset > last, row.offset <= through else { throw .malformed("offset \(row.offset) of a page") }
      last = row.offset
      return row
    }
  }
}
