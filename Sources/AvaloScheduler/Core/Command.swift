import AvaloCore
import AvaloStore
import AvaloWire

/// What the engine is told, in the order it happened on each link.
public enum Command: Sendable {
  case linkOpened(LinkID, instance: String, incarnation: UInt64, isGateway: Bool = true, gauge: LinkGauge)
  case linkClosed(LinkID)
  /// What waited for the link has gone out.
  case linkDrained(LinkID)
  case publish(LinkID, correlation: UInt32, Publish)
  case broadcast(LinkID, correlation: UInt32, Broadcast)
  case broadcasts(LinkID, correlation: UInt32, BroadcastRequest)
  case attach(LinkID, correlation: UInt32, Attach)
  case cursors(LinkID, correlation: UInt32, Cursors)
  case markRead(LinkID, correlation: UInt32, MarkRead)
  case queryReads(LinkID, correlation: UInt32, QueryReads)
  case lease(LinkID, correlation: UInt32, Lease)
  case leave(LinkID, Leave)
  case detach(LinkID, Detach)
  case watch(LinkID, correlation: UInt32, Watch)
  case unwatch(LinkID, correlation: UInt32, Unwatch)
  case latestSeen(LinkID, correlation: UInt32, LatestSeen)
  case acknowledge(LinkID, Acknowledge)
  case follow(LinkID, correlation: UInt32, Follow)
  case acknowledgeFollowed(LinkID, AcknowledgeFollowed)
  case access(LinkID, correlation: UInt32, AccessRequest)
  case accessConfirmed(LinkID, AccessConfirmed)
  case ask(Question, reply: @Sendable (Answer) -> Void)

  /// Whether it may be turned away when the engine has too much to do, and tried again later.
  var request: (link: LinkID, correlation: UInt32)? {
    switch self {
    case .publish(let link, let correlation, _), .broadcast(let link, let correlation, _),
      .broadcasts(let link, let correlation, _), .attach(let link, let correlation, _),
      .cursors(let link, let correlation, _), .markRead(let link, let correlation, _),
      .queryReads(let link, let correlation, _), .access(let link, let correlation, _),
      .follow(let link, let correlation, _):
      (link, correlation)
    default: nil
    }
  }
}

/// What an operator asks.
public enum Question: Sendable, Equatable {
  case topic(String)
  /// The same, answered when something lies behind `after`, or after so many milliseconds.
  case follow(String, after: UInt64, milliseconds: Int64)
  case log
  case devices(user: String)
  /// Those under way, and those whose users are coming.
  case broadcasts
  case followers
  /// Not a question: whoever follows under that name does so no more.
  case forgetFollower(String)
  /// Not a question: the wall clock is right, go on deleting.
  case trustClock
}

public enum Answer: Sendable, Equatable {
  case topic(TopicReport)
  case log(LogReport)
  case devices([StoredDevice], open: [DeviceID])
  case broadcasts([StoredBroadcast])
  case followers([StoredFollower], head: UInt64, kept: Int)
  case done
  case unknown
  case failed(String)
}

/// A topic, for people.
public struct TopicReport: Sendable, Equatable {
  public var name: String
  public var epoch: Epoch
  public var head: UInt64
  public var floor: UInt64
  /// Gateways' loops.
  public var watchers: Int
  public var bytes: Int
}

/// The log and its engine, for people.
public struct LogReport: Sendable, Equatable {
  public var generation: UInt32
  public var durability: String
  public var statistics: LogStatistics
  public var isHealthy: Bool
  public var isHoldingDeletion: Bool
  public var links: Int
  public var sessions: Int
  public var watches: Int
}

/// What comes of a turn: frames for each link, in order, links to be cut, and questions to be answered beside the engine.
public struct TurnOutput: Sendable {
  public var sends: [(link: LinkID, frames: [UInt8])] = []
  public var cuts: [(link: LinkID, reason: String)] = []
  public var queries: [(link: LinkID, correlation: UInt32, query: QueryReads)] = []

  var isEmpty: Bool { sends.isEmpty && cuts.isEmpty && queries.isEmpty }
}
