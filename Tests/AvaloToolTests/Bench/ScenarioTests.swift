import AvaloKeys
import Glibc
import Testing

@testable import avalo_bench

@Suite(.serialized, .timeLimit(.minutes(2))) struct ScenarioTests {
  private func bench(_ server: TestServer) throws -> Bench { try bench(port: server.port) }

  private func bench(port: Int) throws -> Bench {
    var random = SplitMix64(seed: 5)
    return Bench(
      target: try Target(url: "http://127.0.0.1:\(port)"), secret: SigningSecret(using: &random),
      apiKey: APIKey(using: &random).text, processes: try ServerProcesses(pids: [getpid()]), run: Bench.newRun(),
      descriptorsMax: 20_000, pinClient: nil)
  }

  private func figure(_ report: Report, _ key: String) -> Double? { report.figures.first { $0.key == key }?.value }

  @Test func connectCountsEveryClientAndItsWayToLive() async throws {
    let server = try await MiniHub().start()
    let scenario = ConnectScenario(clients: 60, rate: 600, inFlight: 16, settleSeconds: 0.05, holdSeconds: 0.05)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect(figure(report, "clients") == 60)
    #expect(report.latencies.map(\.count) == [60, 60])
    #expect(report.processes.count == 2 && report.processes[0].cpuMicrosecondsPerUnit > 0)
    // 60 at 600 a second take a tenth of a second.
    #expect((figure(report, "connects_per_second") ?? 0) < 700)
    try await server.stop()
  }

  @Test func fanoutCountsEveryDelivery() async throws {
    let server = try await MiniHub().start()
    let scenario = FanoutScenario(
      subscribers: 20, load: .rate(200), seconds: 0.3, payloadBytes: 128, publishers: 2, inFlight: 32)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect(report.latencies[0].count == 60 * 20)
    #expect(report.latencies[1].count == 60)
    #expect(report.latencies[0].p50 > 0)
    try await server.stop()
  }

  /// From a rate that any machine holds.
  @Test func theKneeIsFoundAndIsARateThatHeld() async throws {
    let server = try await MiniHub().start()
    let scenario = FanoutScenario(
      subscribers: 4, load: .knee(from: 200), seconds: 0.2, payloadBytes: 128, publishers: 2, inFlight: 64)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect(report.notes.count > 2)
    #expect((report.latencies.first?.p99 ?? .max) <= FanoutScenario.latencyMax)
    try await server.stop()
  }

  @Test(arguments: [nil, 500.0]) func pairsReachTheirUsers(rate: Double?) async throws {
    let server = try await MiniHub().start()
    let scenario = PairsScenario(users: 30, rate: rate, seconds: 0.3, payloadBytes: 128, publishers: 4, inFlight: 16)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect((figure(report, "deliveries") ?? 0) >= 20)
    #expect(figure(report, "lost") == 0)
    try await server.stop()
  }

  @Test func recoverBringsAllBackWithWhatTheyMissed() async throws {
    let hub = MiniHub()
    let server = try await hub.start()
    let scenario = RecoverScenario(clients: 40, missedEvents: 3, inFlight: 100, payloadBytes: 128, publishers: 4)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect(figure(report, "clients") == 40)
    #expect(figure(report, "replayed") == 120)
    #expect(hub.acknowledged == 40)
    try await server.stop()
  }

  @Test func presenceCountsEveryNotification() async throws {
    let server = try await MiniHub().start()
    let scenario = PresenceScenario(users: 30, watched: 7, rate: 300, seconds: 0.4)
    let report = try scenario.run(try bench(server), command: "c")
    #expect(report.complaints.isEmpty)
    #expect(figure(report, "notifications") == 840)
    #expect(figure(report, "lost") == 0 && figure(report, "coalesced") == 0)
    #expect(report.latencies.map(\.count) == [840, 120])
    #expect((figure(report, "server_cpu_us") ?? 0) > 0)
    try await server.stop()
  }

  /// Each watcher is to know the last state of each; a state that a newer one took the place of is not lost.
  @Test func presenceSeesWhatIsLostAndWhatComesTwice() async throws {
    // One change of each before anything is measured, and eight then: the ninth is the last of all.
    for (fault, lost, duplicated) in [(MiniHub.Fault.loses(every: 9), 20.0, 0.0), (.duplicates(every: 3), 0, 40)] {
      let server = try await MiniHub(fault: fault).start()
      var scenario = PresenceScenario(users: 5, watched: 4, rate: 400, seconds: 0.1)
      scenario.drainSeconds = 1
      let report = try scenario.run(try bench(server), command: "c")
      #expect(!report.complaints.isEmpty)
      #expect(figure(report, "lost") == lost && figure(report, "reordered") == 0)
      // Of the third and the sixth; the ninth's may come when everything is there.
      #expect((duplicated...duplicated * 1.5).contains(figure(report, "duplicated") ?? -1))
      try await server.stop()
    }
    let server = try await MiniHub(fault: .refusesChanges).start()
    let scenario = PresenceScenario(users: 5, watched: 2, rate: 400, seconds: 0.1)
    let refused = #expect(throws: BenchError.self) { try scenario.run(try bench(server), command: "c") }
    #expect(refused?.description.contains("UNAVAILABLE") == true)
    try await server.stop()
  }

  @Test(
    arguments: [
      (MiniHub.Fault.loses(every: 7), "lost"), (.duplicates(every: 7), "duplicated"), (.swaps(every: 7), "reordered"),
    ])
  func aBrokenPromiseIsSeen(fault: MiniHub.Fault, key: String) async throws {
    let server = try await MiniHub(fault: fault).start()
    var scenario = PairsScenario(users: 5, rate: 400, seconds: 0.5, payloadBytes: 128, publishers: 2, inFlight: 16)
    scenario.drainSeconds = 10
    let report = try scenario.run(try bench(server), command: "c")
    for other in ["lost", "duplicated", "reordered"] {
      #expect(((figure(report, other) ?? 0) > 0) == (other == key), "\(other)")
    }
    #expect(!report.complaints.isEmpty)
    try await server.stop()
  }

  @Test func aServerThatRefusesIsSaidSo() async throws {
    let publishes = try await MiniHub(fault: .refusesPublishes).start()
    let scenario = PairsScenario(users: 3, rate: 100, seconds: 0.1, payloadBytes: 128, publishers: 1, inFlight: 4)
    let refused = #expect(throws: BenchError.self) { try scenario.run(try bench(publishes), command: "c") }
    #expect(refused?.description.contains("503") == true)
    try await publishes.stop()

    let clients = try await MiniHub(fault: .refusesClients).start()
    let denied = #expect(throws: BenchError.self) { try scenario.run(try bench(clients), command: "c") }
    #expect(denied?.kind == .unavailable && denied?.description.contains("4500") == true)
    try await clients.stop()

    // Port 1: nobody is ever there.
    let gone = #expect(throws: BenchError.self) { try scenario.run(try bench(port: 1), command: "c") }
    #expect(gone?.kind == .unavailable && gone?.description.contains("refused") == true)
  }
}
