import AvaloSystem

/// One message of a worker, as sd_notify(3) defines it: lines of `NAME=value`. Unknown lines are passed over, as
/// systemd does; a message that is no text says nothing.
struct Notification: Equatable, Sendable {
  var ready = false
  var reloading = false
  var stopping = false
  var watchdog = false
  /// The worker found out by itself that it hangs (`WATCHDOG=trigger`).
  var watchdogTriggered = false
  /// One line for people.
  var status: String?
  var extendTimeout: Duration?

  init() {}

  init(_ message: some Collection<UInt8>) {
    for line in message.split(separator: UInt8(ascii: "\n")) {
      guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let value = line[line.index(after: equals)...]
      switch String(decoding: line[..<equals], as: UTF8.self) {
      case "READY": ready = ready || value.elementsEqual("1".utf8)
      case "RELOADING": reloading = reloading || value.elementsEqual("1".utf8)
      case "STOPPING": stopping = stopping || value.elementsEqual("1".utf8)
      case "WATCHDOG":
        watchdog = watchdog || value.elementsEqual("1".utf8)
        watchdogTriggered = watchdogTriggered || value.elementsEqual("trigger".utf8)
      case "STATUS":
        status = Notification.line(String(decoding: value, as: UTF8.self))
      case "EXTEND_TIMEOUT_USEC":
        guard value.allSatisfy({ (0x30...0x39).contains($0) }),
          let microseconds = Int64(String(decoding: value, as: UTF8.self))
        else { continue }
        extendTimeout = min(
          .microseconds(min(microseconds, Int64.max / 1000)), SupervisorLimits.extensionMax)
      default: continue
      }
    }
  }

  /// Without control characters, which a terminal would obey, and bounded.
  private static func line(_ text: String) -> String {
    var kept = ""
    for scalar in text.unicodeScalars {
      if kept.utf8.count >= SupervisorLimits.statusBytesMax { break }
      kept.unicodeScalars.append(scalar.value < 0x20 || (0x7F..<0xA0).contains(scalar.value) ? " " : scalar)
    }
    return kept
  }
}
