import AvaloCore
import AvaloTesting
import Foundation
import Synchronization

/// What browsers call `EventSource` (the HTML standard, §9.2), as far as a test needs it: comes back to the same URL with the
/// last id it saw.
final class EventSource: Sendable {
  struct Account {
    /// Event ids by offset.
    var events: [UInt64: String] = [:]
    /// Offsets that came more than once.
    var repeated: [UInt64] = []
    var opened = 0
    var lastID = ""
    var complaints: [String] = []
    fileprivate var isStopped = false
    /// It has no connection, and makes none.
    var isAway = false
    fileprivate var staysAway = false
  }

  private let port: Int
  private let target: String
  private let account = Mutex(Account())

  init(port: Int, target: String) {
    self.port = port
    self.target = target
  }

  var read: Account { account.withLock { $0 } }

  /// Ends the connection; ``comeBack()`` makes another.
  func leave() { account.withLock { $0.staysAway = true } }
  func comeBack() { account.withLock { $0.staysAway = false } }

  func stop() { account.withLock { $0.isStopped = true } }

  /// Listens until it is stopped, on a thread of its own: it waits there.
  func run() async {
    await withCheckedContinuation { ended in
      Thread.detachNewThread {
        while !self.read.isStopped {
          let staysAway = self.account.withLock { account in
            account.isAway = account.staysAway
            return account.staysAway
          }
          // A connection that ends is what a source is there for.
          if !staysAway { try? self.listen() }
          usleep(20_000)
        }
        ended.resume()
      }
    }
  }

  private func listen() throws {
    let probe = try SocketProbe.connect(port: port)
    let last = account.withLock { $0.lastID }
    try probe.send(
      Array(
        """
        GET \(target) HTTP/1.1\r
        Host: 127.0.0.1\r
        Accept: text/event-stream\r
        \(last.isEmpty ? "" : "Last-Event-ID: \(last)\r\n")\r\n
        """.utf8))
    let head = try probe.head()
    guard head.hasPrefix("HTTP/1.1 200 ") else {
      // While nobody is there to register at, it is told to come again.
      if !head.hasPrefix("HTTP/1.1 503 ") { account.withLock { $0.complaints.append(head) } }
      return
    }
    account.withLock { $0.opened += 1 }
    var line: [UInt8] = []
    while !read.isStopped, !read.staysAway {
      let byte: UInt8
      do {
        byte = try probe.take(1, 100)[0]
      } catch SocketProbe.Failure.timeout {
        continue  // nothing to hear for a while
      }
      if byte == UInt8(ascii: "\n") {
        take(String(decoding: line, as: UTF8.self))
        line = []
      } else {
        line.append(byte)
      }
    }
  }

  private func take(_ line: String) {
    if line.hasPrefix("id: ") { return account.withLock { $0.lastID = String(line.dropFirst(4)) } }
    guard line.hasPrefix("data: ") else { return }
    account.withLock { account in
      Array(line.dropFirst(6).utf8).withUnsafeBytes { text in
        guard let frame = try? JSONView(validating: text) else { return account.complaints.append(line) }
        if frame["gap"] != nil { account.complaints.append(line) }
        guard let id = frame["event"]?["eventId"]?.string, let offset = frame["offset"]?.integer else { return }
        guard let before = account.events.updateValue(id, forKey: UInt64(offset)) else { return }
        account.repeated.append(UInt64(offset))
        if before != id { account.complaints.append("\(offset) was \(before), then \(id)") }
      }
    }
  }
}
