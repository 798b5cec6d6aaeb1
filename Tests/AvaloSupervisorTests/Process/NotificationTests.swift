import AvaloSystem
import Testing

@testable import AvaloSupervisor

@Suite struct NotificationTests {
  @Test func readsWhatSdNotifySends() {
    var expected = Notification()
    expected.ready = true
    expected.status = "listening"
    #expect(Notification(Array("READY=1\nSTATUS=listening\nMAINPID=17\nX_OTHER=a=b".utf8)) == expected)
    #expect(Notification(Array("WATCHDOG=1\n".utf8)).watchdog)
    #expect(Notification(Array("WATCHDOG=trigger".utf8)).watchdogTriggered)
    #expect(!Notification(Array("WATCHDOG=trigger".utf8)).watchdog)
    #expect(Notification(Array("RELOADING=1\nMONOTONIC_USEC=123".utf8)).reloading)
    #expect(Notification(Array("STOPPING=1".utf8)).stopping)
    #expect(Notification(Array("EXTEND_TIMEOUT_USEC=2500000".utf8)).extendTimeout == .milliseconds(2500))
  }

  @Test(arguments: [
    "", "\n\n", "READY", "READY=", "READY=0", "READY=11", "ready=1", " READY=1", "=1", "STATUS",
    "EXTEND_TIMEOUT_USEC=-5",
    "EXTEND_TIMEOUT_USEC=99999999999999999999999", "EXTEND_TIMEOUT_USEC=1s", "BARRIER=1",
  ])
  func saysNothingWhenItIsNothing(message: String) {
    #expect(Notification(Array(message.utf8)) == Notification())
  }

  @Test func aStatusIsOneBoundedLineWithoutControlCharacters() {
    let status = Notification(Array("STATUS=\u{1B}[31mred\ttab \u{85} \(String(repeating: "ä", count: 500))".utf8))
      .status
    #expect(status?.hasPrefix(" [31mred tab ") == true)
    #expect(status?.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) } == false)
    #expect((status?.utf8.count ?? 0) <= SupervisorLimits.statusBytesMax + 4)
  }

  @Test func anExtensionIsBounded() {
    #expect(
      Notification(Array("EXTEND_TIMEOUT_USEC=9000000000000000000".utf8)).extendTimeout == SupervisorLimits.extensionMax
    )
  }

  @Test func anyBytesAreRead() {
    var random = SeededGenerator(seed: 7)
    let pieces: [[UInt8]] = ["READY=1", "STATUS=", "\n", "=", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=", "\u{0}"].map {
      Array($0.utf8)
    }
    for _ in 0..<20_000 {
      var message: [UInt8] = []
      for _ in 0..<Int.random(in: 0...8, using: &random) {
        message +=
          Bool.random(using: &random)
          ? pieces.randomElement(using: &random)!
          : (0..<Int.random(in: 0...20, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
      let status = Notification(message).status ?? ""
      #expect(!status.unicodeScalars.contains { $0.value < 0x20 })
    }
  }
}

/// SplitMix64: the same numbers at every run.
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  init(seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
