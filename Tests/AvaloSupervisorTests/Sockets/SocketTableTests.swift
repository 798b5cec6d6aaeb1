import AvaloSystem
import AvaloTesting
import Foundation
import Testing

@testable import AvaloSupervisor

@Suite struct SocketTableTests {
  let folder = TestFolder()

  func configuration(_ workers: [WorkerManifest]) -> Configuration {
    Configuration(
      directory: folder.path, runtimeDirectory: folder.path, stateDirectory: folder.path,
      admin: ListenAddress("127.0.0.1:0", folder: "")!, controlSocket: "\(folder.path)/c.sock", controlMode: 0o600,
      logLevel: .info, logDestination: nil, workers: workers)
  }

  func worker(_ name: String, _ sockets: [SocketManifest], instances: Int = 1, metrics: Bool = false) -> WorkerManifest
  {
    WorkerManifest(
      name: name, executable: "/bin/true", arguments: [], instances: instances, required: true, check: nil,
      metrics: metrics, sockets: sockets, environment: [:], user: nil, limits: [], watchdog: nil,
      startTimeout: .seconds(1), reload: .none, restart: RestartDelays(min: .seconds(1), max: .seconds(1)),
      drain: DrainPolicy(order: 1, deadline: .seconds(1)), status: [], settings: [])
  }

  func socket(_ name: String, _ listen: String, perInstance: Bool = false, mode: UInt32 = 0o600) -> SocketManifest {
    SocketManifest(
      name: name, address: ListenAddress(listen, folder: folder.path)!, perInstance: perInstance, encrypted: false,
      backlog: 16, mode: mode)
  }

  func port(_ table: SocketTable, _ key: SocketTable.Key) throws -> UInt16 {
    guard case .internet(let address) = try #require(table.listeners[key]).address else { return 0 }
    return address.port
  }

  @Test func slotsOfOneSocketShareThePortTheKernelChose() throws {
    try FileManager.default.createDirectory(atPath: "\(folder.path)/metrics", withIntermediateDirectories: false)
    let gateway = worker(
      "gateway", [socket("client", "127.0.0.1:0", perInstance: true), socket("link", "unix:l.sock")], instances: 3,
      metrics: true)
    let table = try SocketTable(inherited: []).next(for: configuration([gateway]))
    defer { table.closeAll() }
    let ports = try (0..<3).map { try port(table, .init(owner: "gateway", name: "client", slot: $0)) }
    #expect(ports[0] != 0)
    #expect(Set(ports).count == 1)
    for slot in 0..<3 {
      let sockets = table.sockets(of: gateway, place: slot, slot: slot)
      #expect(sockets.map(\.name) == ["client", "link", "metrics"])
    }
    #expect(Set((0..<3).map { table.sockets(of: gateway, place: $0, slot: $0)[0].descriptor }).count == 3)
    #expect(Set((0..<3).map { table.sockets(of: gateway, place: $0, slot: $0)[1].descriptor }).count == 1)
    #expect(table.stored.map(\.name) == ["avalod.admin.0", "gateway.client.0", "gateway.client.1", "gateway.client.2"])
  }

  /// What somebody accepts on stays theirs, and the port stays the same.
  @Test func closesAndOpensThePlacesOfASocket() throws {
    let gateway = worker(
      "gateway", [socket("client", "127.0.0.1:0", perInstance: true), socket("link", "unix:l.sock")], instances: 3)
    let configuration = configuration([gateway])
    let all = try SocketTable(inherited: []).next(for: configuration)
    func descriptor(_ table: SocketTable, _ place: Int) -> Int32? {
      table.listeners[.init(owner: "gateway", name: "client", slot: place)]?.descriptor
    }
    let address = all.listeners[.init(owner: "gateway", name: "client", slot: 0)]?.address
    let fewer = try all.next(for: configuration, closed: ["gateway": [0, 2]])
    #expect(all.release(for: fewer).sorted() == ["gateway.client.0", "gateway.client.2"])
    #expect(fewer.sockets(of: gateway, place: 0, slot: 0).map(\.name) == ["link"])
    let again = try fewer.next(for: configuration)
    #expect(fewer.release(for: again) == [])
    #expect(descriptor(again, 1) == descriptor(all, 1))
    #expect(Set((0..<3).map { descriptor(again, $0) }).count == 3)
    #expect(again.listeners[.init(owner: "gateway", name: "client", slot: 0)]?.address == address)
    let none = try again.next(for: configuration, closed: ["gateway": [0, 1, 2]])
    #expect(again.release(for: none).count == 4)
    #expect(none.sockets(of: gateway, place: 0, slot: 0).isEmpty)
    none.closeAll()
  }

  @Test func keepsTheMetricsOfTheSlotsThatAreThere() throws {
    let gateway = worker("gateway", [], instances: 1, metrics: true)
    let configuration = configuration([gateway])
    try FileManager.default.createDirectory(atPath: "\(folder.path)/metrics", withIntermediateDirectories: false)
    let first = try SocketTable(inherited: []).next(for: configuration)
    var both = try first.next(for: configuration, slots: ["gateway": [0, 1]])
    #expect(first.release(for: both) == [])
    #expect(both.sockets(of: gateway, place: 0, slot: 1).map(\.name) == ["metrics"])
    both.dropMetrics(of: InstanceID(worker: "gateway", slot: 0))
    #expect(both.sockets(of: gateway, place: 0, slot: 0).isEmpty)
    let next = try both.next(for: configuration, slots: ["gateway": [1]])
    #expect(both.release(for: next) == [])
    next.closeAll()
  }

  @Test func aReloadKeepsWhatStaysAndBindsOnlyWhatIsNew() throws {
    let before = worker("a", [socket("x", "127.0.0.1:0"), socket("u", "unix:u.sock")])
    let table = try SocketTable(inherited: []).next(for: configuration([before]))
    let x = SocketTable.Key(owner: "a", name: "x", slot: 0)
    let place = try port(table, x)
    // The port is now written down, moved to another worker, and spread over two slots; a file is opened to others.
    let after = [
      worker("a", [socket("u", "unix:u.sock", mode: 0o666)]),
      worker("b", [socket("y", "127.0.0.1:\(place)", perInstance: true)], instances: 2),
    ]
    let next = try table.next(for: configuration(after))
    defer { next.closeAll() }
    #expect(next.listeners[.init(owner: "b", name: "y", slot: 0)]?.descriptor == table.listeners[x]?.descriptor)
    #expect(try port(next, .init(owner: "b", name: "y", slot: 1)) == place)
    #expect(table.release(for: next) == [])
    let mode = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/u.sock")[.posixPermissions] as? Int
    #expect(mode == 0o666)
    let last = try next.next(for: configuration([]))
    #expect(Set(next.release(for: last)) == ["a.u.0", "b.y.0", "b.y.1"])
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/u.sock"))
  }

  @Test func aTakenPortIsRefusedAndNothingStaysOpen() throws {
    let other = try Listener(ListenAddress("127.0.0.1:0", folder: "")!, backlog: 1, mode: 0, neighbour: false)
    defer { other.close() }
    let workers = [
      worker("a", [socket("ok", "unix:ok.sock"), socket("x", "\(other.address)", perInstance: true)], instances: 2)
    ]
    let error = #expect(throws: ListenErrors.self) { try SocketTable(inherited: []).next(for: configuration(workers)) }
    #expect(
      error?.errors.map { "\($0.owner): \($0)" }
        == ["a.x: cannot listen at \(other.address): Address already in use (another program listens there)"])
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/ok.sock"))
    #expect(!FileManager.default.fileExists(atPath: "\(folder.path)/c.sock"))
  }

  @Test func aFileThatADeadProcessLeftIsTakenOverAndALivingOnesIsNot() throws {
    let address = ListenAddress("unix:s.sock", folder: folder.path)!
    let first = try Listener(address, backlog: 1, mode: 0o640, neighbour: false)
    #expect(throws: ListenError(address: address, code: EADDRINUSE)) {
      try Listener(address, backlog: 1, mode: 0o600, neighbour: false)
    }
    close(first.descriptor)
    let second = try Listener(address, backlog: 1, mode: 0o600, neighbour: false)
    second.close()
    try folder.write("precious", to: "s.sock")
    #expect(throws: ListenError(address: address, code: EEXIST)) {
      try Listener(address, backlog: 1, mode: 0o600, neighbour: false)
    }
    #expect(try folder.read("s.sock") == "precious")
  }

  @Test func storedSocketsComeBackAndOthersAreLetGo() throws {
    let a = worker("a", [socket("x", "127.0.0.1:0")])
    let before = try SocketTable(inherited: []).next(for: configuration([a]))
    let x = SocketTable.Key(owner: "a", name: "x", slot: 0)
    let place = try port(before, x)
    // What systemd hands over after a restart: its own copies, by name.
    let inherited = [
      InheritedSocket(name: "a.x.0", descriptor: dup(before.listeners[x]!.descriptor)),
      InheritedSocket(name: "a.gone.0", descriptor: dup(before.listeners[x]!.descriptor)),
      InheritedSocket(name: "a.file.0", descriptor: open("/dev/null", O_RDONLY)),
    ]
    before.closeAll()
    let table = SocketTable(inherited: inherited)
    #expect(table.unusable == ["a.file.0"])
    let next = try table.next(for: configuration([a]))
    defer { next.closeAll() }
    #expect(try port(next, x) == place)
    #expect(next.listeners[x]?.descriptor == inherited[0].descriptor)
    #expect(table.release(for: next) == ["a.gone.0"])
  }

  @Test func socketsOfASocketUnitGoToWhoseNameTheyBear() throws {
    let one = try Listener(ListenAddress("127.0.0.1:0", folder: "")!, backlog: 1, mode: 0, neighbour: false)
    let two = try Listener(ListenAddress("[::1]:0", folder: "")!, backlog: 1, mode: 0, neighbour: false)
    let three = try Listener(ListenAddress("127.0.0.1:0", folder: "")!, backlog: 1, mode: 0, neighbour: false)
    let four = try Listener(ListenAddress("127.0.0.1:0", folder: "")!, backlog: 1, mode: 0, neighbour: false)
    defer { for listener in [one, two, three, four] { listener.close() } }
    let inherited = [("client", one), ("client", two), ("b.link", three), ("unused", four)].map {
      InheritedSocket(name: $0.0, descriptor: $0.1.descriptor)
    }
    // The addresses of the manifests are the unit's business now: nothing is bound there.
    let a = worker(
      "a", [socket("client", "192.0.2.1:80", perInstance: true), socket("link", "unix:a.sock")], instances: 2)
    let b = worker("b", [socket("link", "192.0.2.1:81")])
    let configuration = configuration([a, b])
    let table = try SocketTable(inherited: inherited).next(for: configuration)
    defer { table.closeAll() }
    for slot in 0..<2 {
      #expect(table.sockets(of: a, place: slot, slot: slot).map(\.name) == ["client", "client", "link"])
      #expect(
        table.sockets(of: a, place: slot, slot: slot).prefix(2).map(\.descriptor) == [one.descriptor, two.descriptor])
    }
    #expect(table.sockets(of: b, place: 0, slot: 0).map(\.descriptor) == [three.descriptor])
    #expect(table.unclaimed(by: configuration) == ["unused"])
    #expect(table.stored.map(\.name) == ["avalod.admin.0"])
  }
}
