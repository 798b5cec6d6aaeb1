import AvaloCore
import CAvalo
import Glibc

/// A publish as bytes, complete but for its digits: who it is for, its number, and when it was due.
///
/// All requests of a run have one length, so one is made by copying it and writing digits into it.
struct PublishTemplate {
  enum Destination {
    /// `user:PREFIX` + six digits.
    case inboxes(prefix: String)
    case topic(String)
  }

  static let userDigits = 6
  private static let numberDigits = 10
  private static let timeDigits = 19
  private static let timeKey: StaticString = #""sent":""#

  private let request: [UInt8]
  private let userAt: Int?
  private let numberAt: Int
  private let timeAt: Int

  var byteCount: Int { request.count }

  /// `run` makes event ids unique between runs. `payloadBytes` is the size of the payload object.
  init(authority: String, apiKey: String, run: String, destination: Destination, payloadBytes: Int) {
    let users = String(repeating: "#", count: PublishTemplate.userDigits)
    let number = String(repeating: "%", count: PublishTemplate.numberDigits)
    let time = String(repeating: "!", count: PublishTemplate.timeDigits)
    let bare = #"{"sent":""# + time + #"","pad":""}"#
    let pad = String(repeating: "x", count: max(0, payloadBytes - bare.utf8.count))
    let address =
      switch destination {
      case .inboxes(let prefix): #""targetUserId":"\#(prefix)\#(users)""#
      case .topic(let topic): #""topic":"\#(topic)""#
      }
    let body =
      #"{"data":{"eventId":"\#(run)-\#(number)","type":"chat_message",\#(address),"#
      + #""payload":{"sent":"\#(time)","pad":"\#(pad)"}}}"#
    let head = """
      POST /publishRealtimeEvent HTTP/1.1\r
      Host: \(authority)\r
      Authorization: Bearer \(apiKey)\r
      Content-Type: application/json\r
      Content-Length: \(body.utf8.count)\r
      \r\n
      """
    request = Array((head + body).utf8)
    let start = head.utf8.count
    let text = Array(body.utf8)
    userAt = text.firstIndex(of: UInt8(ascii: "#")).map { start + $0 }
    numberAt = start + text.firstIndex(of: UInt8(ascii: "%"))!
    timeAt = start + text.firstIndex(of: UInt8(ascii: "!"))!
  }

  /// Writes one request of `byteCount` bytes.
  func write(user: Int, number: Int, due: Nanoseconds, to place: UnsafeMutableRawPointer) {
    request.withUnsafeBytes { place.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
    if let userAt { PublishTemplate.digits(UInt64(user), PublishTemplate.userDigits, to: place + userAt) }
    PublishTemplate.digits(UInt64(number), PublishTemplate.numberDigits, to: place + numberAt)
    PublishTemplate.digits(due, PublishTemplate.timeDigits, to: place + timeAt)
  }

  /// When the event in this frame was due; `nil` when it is none of ours. `hint` is where it was found last.
  @inline(__always) static func sentAt(_ json: UnsafeRawBufferPointer, hint: inout Int) -> Nanoseconds? {
    let size = timeKey.utf8CodeUnitCount
    if hint == 0 || hint + timeDigits >= json.count
      || memcmp(json.baseAddress! + hint - size, timeKey.utf8Start, size) != 0
    {
      guard let found = Glance.find(timeKey, in: json), found + timeDigits < json.count else { return nil }
      hint = found
    }
    return Glance.number(json, at: hint, digitsMax: timeDigits)
  }

  private static func digits(_ value: UInt64, _ count: Int, to place: UnsafeMutableRawPointer) {
    var rest = value
    for digit in stride(from: count - 1, through: 0, by: -1) {
      place.storeBytes(of: UInt8(truncatingIfNeeded: rest % 10) + 0x30, toByteOffset: digit, as: UInt8.self)
      rest /= 10
    }
  }
}
