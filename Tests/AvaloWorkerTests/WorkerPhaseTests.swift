import AvaloSystem
import AvaloTesting
import Glibc
import Testing

@testable import AvaloWorker

/// Every state with every event, the impossible too.
@Suite struct WorkerPhaseTests {
  private final class Nobody: Worker {
    static func readSettings(_ reader: inout SettingsReader) {}
    static func start(_ context: WorkerContext, _ settings: Void) async throws -> Nobody { Nobody() }
    func reload(_ settings: Void) async throws {}
    func drain(until deadline: MonotonicInstant) async {}
  }
  private struct Broken: Error {}
  private typealias Phase = WorkerPhase<Nobody>
  private typealias Event = WorkerEvent<Nobody>

  private static let worker = Nobody()
  private static let events: [(String, Event)] = [
    ("TERM", .signal(SIGTERM)), ("INT", .signal(SIGINT)), ("HUP", .signal(SIGHUP)),
    ("started", .started(.success(worker))), ("broken", .started(.failure(Broken()))), ("reloaded", .reloaded),
    ("drained", .drained), ("deadline", .deadlinePassed),
  ]
  private static let phases: [(String, Phase)] = [
    ("starting", .starting(reload: false)), ("starting+", .starting(reload: true)), ("serving", .serving(worker)),
    ("reloading", .reloading(worker, again: false)), ("reloading+", .reloading(worker, again: true)),
    ("draining", .draining), ("ended", .ended),
  ]
  /// `phase event` to `actions -> phase`; what is not here changes nothing.
  private static let expected: [String: String] = [
    "starting TERM": "exit -> ended", "starting INT": "exit -> ended", "starting HUP": "-> starting+",
    "starting started": "sayReady -> serving", "starting broken": "fail -> ended",
    "starting+ TERM": "exit -> ended", "starting+ INT": "exit -> ended",
    "starting+ started": "sayReady reload -> reloading", "starting+ broken": "fail -> ended",
    "serving TERM": "drain -> draining", "serving INT": "drain -> draining", "serving HUP": "reload -> reloading",
    "reloading TERM": "drain -> draining", "reloading INT": "drain -> draining", "reloading HUP": "-> reloading+",
    "reloading reloaded": "sayReloaded -> serving",
    "reloading+ TERM": "drain -> draining", "reloading+ INT": "drain -> draining",
    "reloading+ reloaded": "sayReloaded reload -> reloading",
    "draining TERM": "hurry -> ended", "draining INT": "hurry -> ended", "draining drained": "exit -> ended",
    "draining deadline": "giveUp -> ended",
  ]

  @Test func everyStateAnswersEveryEvent() {
    for (phaseName, phase) in Self.phases {
      for (eventName, event) in Self.events {
        var next = phase
        let actions = next.take(event).map(Self.name)
        let result = (actions + ["->", Self.name(next)]).joined(separator: " ")
        #expect(
          result == Self.expected["\(phaseName) \(eventName)"] ?? "-> \(phaseName)", "\(phaseName) \(eventName)")
      }
    }
  }

  private static func name(_ action: WorkerAction<Nobody>) -> String {
    switch action {
    case .sayReady: "sayReady"
    case .reload: "reload"
    case .sayReloaded: "sayReloaded"
    case .drain: "drain"
    case .fail: "fail"
    case .giveUp: "giveUp"
    case .hurry: "hurry"
    case .exit: "exit"
    }
  }
  private static func name(_ phase: Phase) -> String {
    switch phase {
    case .starting(let reload): reload ? "starting+" : "starting"
    case .serving: "serving"
    case .reloading(_, let again): again ? "reloading+" : "reloading"
    case .draining: "draining"
    case .ended: "ended"
    }
  }
}

@Suite struct WorkerArgumentsTests {
  @Test func areFew() {
    #expect(WorkerArguments([String]()) == .serve)
    #expect(WorkerArguments(["--check"]) == .check)
    #expect(WorkerArguments(["--help"]) == .help)
    #expect(WorkerArguments(["--version"]) == .version)
    #expect(WorkerArguments(["--chek"]) == .wrong("--chek"))
    #expect(WorkerArguments(["--check", "x"]) == .wrong("x"))
  }
}

@Suite struct WorkerIdentityTests {
  @Test func comesFromTheContractsVariables() throws {
    let identity = try WorkerIdentity(
      Environment([
        "AVALO_WORKER": "gateway", "AVALO_SLOT": "3", "AVALO_RUNTIME_DIR": "/r", "AVALO_STATE_DIR": "/s",
        "AVALO_CONFIG_DIR": "/c", "AVALO_LOG_LEVEL": "debug", "AVALO_DRAIN_USEC": "2500000",
      ]), program: "avalo-x")
    #expect(identity.name == "gateway" && identity.slot == 3 && identity.logLevel == .debug)
    #expect(identity.runtimeDirectory == "/r" && identity.stateDirectory == "/s" && identity.configDirectory == "/c")
    #expect(identity.drainTime == .milliseconds(2500))
  }

  @Test func asksHowManyDrainWhenItDoes() throws {
    let folder = TestFolder()
    let path = try folder.write("3\n", to: "gateway.draining")
    let identity = try WorkerIdentity(
      Environment(["AVALO_DRAINING": path, "AVALO_INSTANCES": "2"]), program: "avalo-gateway")
    #expect(identity.draining() == 3)
    try folder.write("1\n", to: "gateway.draining")
    #expect(identity.draining() == 1)
    unlink(path)
    #expect(identity.draining() == 2)
  }

  @Test func standsAloneUnderSystemd() throws {
    let identity = try WorkerIdentity(
      Environment(["RUNTIME_DIRECTORY": "/run/a:/run/b", "STATE_DIRECTORY": "/s"]), program: "avalo-presence")
    #expect(identity.name == "presence" && identity.slot == 0 && identity.runtimeDirectory == "/run/a")
    #expect(identity.stateDirectory == "/s" && identity.configDirectory == ".")
    #expect(identity.drainTime == WorkerLimits.drainTimeDefault)
  }

  @Test(arguments: [["AVALO_SLOT": "x"], ["AVALO_SLOT": "-1"], ["AVALO_LOG_LEVEL": "loud"], ["AVALO_DRAIN_USEC": "0"]])
  func refusesWhatMakesNoSense(_ table: [String: String]) {
    #expect(throws: WorkerError.self) { try WorkerIdentity(Environment(table), program: "avalo-x") }
  }
}
