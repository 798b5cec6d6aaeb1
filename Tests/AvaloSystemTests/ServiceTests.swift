import AvaloTesting
import Glibc
import Testing

@testable import AvaloSystem

@Suite struct InheritedSocketsTests {
  private func parse(_ table: [String: String]) throws -> [InheritedSocket] {
    try InheritedSockets.parse(Environment(table), pid: 42)
  }

  @Test func namesTheDescriptorsFromThreeOn() throws {
    #expect(
      try parse(["LISTEN_FDS": "3", "LISTEN_PID": "42", "LISTEN_FDNAMES": "link::metrics"]) == [
        InheritedSocket(name: "link", descriptor: 3), InheritedSocket(name: "unknown", descriptor: 4),
        InheritedSocket(name: "metrics", descriptor: 5),
      ])
    #expect(
      try parse(["LISTEN_FDS": "1", "LISTEN_PID": "42"]) == [InheritedSocket(name: "unknown", descriptor: 3)])
  }

  @Test func ignoresWhatIsMeantForAnother() throws {
    #expect(try parse([:]) == [])
    #expect(try parse(["LISTEN_FDS": "1", "LISTEN_PID": "41"]) == [])
    #expect(try parse(["LISTEN_FDS": "0", "LISTEN_PID": "42", "LISTEN_FDNAMES": ""]) == [])
  }

  @Test(arguments: [
    ["LISTEN_FDS": "x", "LISTEN_PID": "42"], ["LISTEN_FDS": "-1", "LISTEN_PID": "42"],
    ["LISTEN_FDS": "99999", "LISTEN_PID": "42"], ["LISTEN_FDS": "1", "LISTEN_PID": ""], ["LISTEN_FDS": "1"],
    ["LISTEN_FDS": "2", "LISTEN_PID": "42", "LISTEN_FDNAMES": "one"],
  ])
  func refusesWhatMakesNoSense(_ table: [String: String]) {
    #expect(throws: InheritedSocketsError.self) { try parse(table) }
  }
}

@Suite struct NotifySocketTests {
  @Test(arguments: ["path", "abstract"]) func reachesItsReceiver(kind: String) throws {
    let folder = TestFolder()
    let name = kind == "path" ? "\(folder.path)/notify" : "@avalo-test-\(getpid())"
    let receiver = try Receiver(name)
    let socket = try #require(NotifySocket(name))
    #expect(socket.send("READY=1\nSTATUS=fine"))
    #expect(receiver.receive() == "READY=1\nSTATUS=fine")
  }

  /// The watchdog must not bark because a process has many clients.
  @Test func needsNoDescriptorForAMessage() throws {
    let folder = TestFolder()
    let receiver = try Receiver("\(folder.path)/notify")
    let socket = try #require(NotifySocket("\(folder.path)/notify"))
    var old = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old)
    defer { setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &old) }
    var none = old
    none.rlim_cur = 0
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &none)
    #expect(socket.send("WATCHDOG=1"))
    #expect(receiver.receive() == "WATCHDOG=1")
  }

  @Test(arguments: ["", "relative", "vsock:2:1234", "/nobody/listens/here", "/" + String(repeating: "x", count: 200)])
  func isNoneWhereItCannotBe(address: String) {
    #expect(NotifySocket(address) == nil)
  }

  private final class Receiver {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)

    init(_ name: String) throws {
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) {
        $0.copyBytes(from: name.utf8)
        if name.hasPrefix("@") { $0[0] = 0 }
      }
      let size = socklen_t(2 + name.utf8.count + (name.hasPrefix("@") ? 0 : 1))
      let status = withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
      }
      try #require(status == 0)
    }

    deinit { close(descriptor) }

    func receive() -> String {
      var buffer = [UInt8](repeating: 0, count: 256)
      let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
      return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
  }
}

@Suite struct ProcessStatisticsTests {
  @Test func knowsThisProcess() throws {
    let before = try #require(ProcessStatistics.own)
    #expect(before.residentBytes > 1 << 20)
    #expect(before.threads >= 1)
    #expect(before.maxDescriptors.map { $0 >= before.openDescriptors } ?? true)
    let now = Double(WallClock.system.milliseconds) / 1000
    #expect(before.startTimeSeconds < now + 1 && before.startTimeSeconds > now - 86_400)
    let descriptors = (0..<64).map { _ in open("/dev/null", O_RDONLY) }
    defer { descriptors.forEach { close($0) } }
    // Other tests open and close theirs at the same time: 64 stand out.
    #expect(try #require(ProcessStatistics.own).openDescriptors > before.openDescriptors)
  }

  @Test func aProcessThatIsGoneHasNone() {
    #expect(ProcessStatistics(of: 0x3FFF_FFFF) == nil)
  }

  @Test func readsNamesWithSpacesAndParentheses() {
    let fields = ProcessStatistics.fieldsAfterName("12 (a) b (c) S 1 2 3\n")
    #expect(fields == ["S", "1", "2", "3"])
    #expect(ProcessStatistics.fieldsAfterName("nonsense") == nil)
  }
}

@Suite struct SignalsTests {
  @Test func arriveAsAStream() async throws {
    var signals = try Signals.stream([SIGUSR1, SIGWINCH]).makeAsyncIterator()
    kill(getpid(), SIGUSR1)
    #expect(await signals.next() == SIGUSR1)
    kill(getpid(), SIGWINCH)
    #expect(await signals.next() == SIGWINCH)
  }

  @Test func refuseANumberThatIsNone() {
    #expect(throws: SystemError.self) { try Signals.stream([9999]) }
  }
}

@Suite struct LifelineTests {
  @Test func endsWhenTheLastHolderIsGone() async throws {
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    let reader = ends[0]
    let second = dup(ends[1])
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    try SystemThread.start(name: "lifeline test") {
      Lifeline.waitForEnd(of: reader)
      continuation.finish()
    }
    // A byte says nothing; only the end does.
    #expect(write(ends[1], "x", 1) == 1)
    close(ends[1])
    close(second)
    for await _ in stream {}
    close(reader)
  }

  @Test func refusesADescriptorThatIsNotOpen() {
    #expect(throws: LifelineError.self) { try Lifeline.watch(Environment(["AVALO_LIFELINE_FD": "9999"])) }
    #expect(throws: LifelineError.self) { try Lifeline.watch(Environment(["AVALO_LIFELINE_FD": "three"])) }
    #expect(throws: Never.self) { try Lifeline.watch(Environment([String: String]())) }
  }
}

@Suite struct ServiceNotifierTests {
  @Test func knowsGoodDescriptorNames() {
    #expect(ServiceNotifier.isDescriptorName("client.0"))
    for bad in ["", "a:b", "a b", "é", "a\n", String(repeating: "x", count: 256)] {
      #expect(!ServiceNotifier.isDescriptorName(bad))
    }
  }

  @Test func errorsHaveTheSystemsText() {
    #expect("\(SystemError("open", ENOENT))" == "open: No such file or directory")
  }
}
