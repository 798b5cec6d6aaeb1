import AvaloSystem
import Glibc

/// Every listening socket of the service: who listens where, slot by slot. A value: a reload makes the next table out of
/// the present one, binding what is new, before anything else changes; then ``release(_:)`` closes what is left over.
struct SocketTable: Sendable {
  /// `gateway.client.0`, with the place of the instance whose own it is; shared ones have 0, `metrics` its slot. Also the name in the service manager's descriptor store.
  struct Key: Hashable, Sendable, CustomStringConvertible {
    var owner: String
    var name: String
    var slot: Int
    var description: String { "\(owner).\(name).\(slot)" }
    func isSameSocket(as other: Key) -> Bool { owner == other.owner && name == other.name }
  }

  private(set) var listeners: [Key: Listener] = [:]
  /// Opened by a socket unit: by the socket's name, or `owner.name`. They are the unit's, and are never closed.
  private var activated: [String: [Listener]] = [:]

  static let supervisor = "avalod"
  static let metrics = "metrics"

  // MARK: Making

  /// What a service manager passed us. Descriptors nobody can use are closed, and named.
  init(inherited: [InheritedSocket]) {
    for socket in inherited {
      guard let listener = Listener(inherited: socket.descriptor) else {
        unusable.append(socket.name)
        Glibc.close(socket.descriptor)
        continue
      }
      // Only our own store has names of three parts.
      let parts = socket.name.split(separator: ".", omittingEmptySubsequences: false)
      if parts.count == 3, let slot = Int(parts[2]) {
        let key = Key(owner: String(parts[0]), name: String(parts[1]), slot: slot)
        if let double = listeners.updateValue(listener, forKey: key) { Glibc.close(double.descriptor) }
      } else {
        activated[socket.name, default: []].append(listener)
      }
    }
  }
  /// Names of inherited descriptors that were no listening sockets.
  private(set) var unusable: [String] = []

  /// The table for `configuration`, with what this one has and the new ones bound. Throws all that could not be bound,
  /// with none of them left open.
  /// - `closed`: places by worker where nobody is to connect.
  /// - `slots`: of each worker that has or gets processes, whose `metrics` sockets are wanted; of others, one a place.
  func next(
    for configuration: Configuration, slots: [String: Set<Int>] = [:], closed: [String: Set<Int>] = [:]
  ) throws(ListenErrors) -> SocketTable {
    var next = self
    next.listeners = [:]
    next.unusable = []
    var left = listeners
    var fresh: [Listener] = []
    var errors: [ListenError] = []

    func place(_ key: Key, _ address: ListenAddress, backlog: Int = SupervisorLimits.backlog, mode: UInt32 = 0o600) {
      if let listener = SocketTable.take(key, address, from: &left) {
        listener.adjust(backlog: backlog, mode: mode)
        next.listeners[key] = listener
        return
      }
      // The slots of one socket share a port, also one that the kernel chose for the first of them.
      var shared = address
      if case .internet(let internet) = address, internet.port == 0,
        let first = next.listeners.merging(left, uniquingKeysWith: { first, _ in first })
          .first(where: { $0.key.isSameSocket(as: key) && $0.value.fits(address) })
      {
        shared = first.value.address
      }
      // Only slots of one socket share an address: any other of ours is as much in the way as a stranger's.
      let isNeighbour = { (other: Key, listener: Listener) in
        other.isSameSocket(as: key) && listener.address == shared
      }
      let neighbour = next.listeners.contains(where: isNeighbour) || left.contains(where: isNeighbour)
      do {
        let listener = try Listener(shared, backlog: backlog, mode: mode, neighbour: neighbour)
        fresh.append(listener)
        next.listeners[key] = listener.configured(as: address)
      } catch {
        var error = error
        error.owner = "\(key.owner).\(key.name)"
        // Once for all slots.
        if !errors.contains(error) { errors.append(error) }
      }
    }

    let admin = Key(owner: SocketTable.supervisor, name: "admin", slot: 0)
    if activatedListeners(admin) == nil { place(admin, configuration.admin, backlog: 128) }
    place(
      Key(owner: SocketTable.supervisor, name: "control", slot: 0), .unix(path: configuration.controlSocket),
      backlog: 128, mode: configuration.controlMode)
    if let error = SocketTable.giveControl(of: configuration) { errors.append(error) }
    for worker in configuration.workers {
      let open = (0..<worker.instances).filter { !(closed[worker.name]?.contains($0) ?? false) }
      for socket in worker.sockets {
        let shared = Key(owner: worker.name, name: socket.name, slot: 0)
        if activatedListeners(shared) != nil { continue }
        // A socket of all is open while one of them is.
        for slot in socket.perInstance ? open : open.isEmpty ? [] : [0] {
          place(
            Key(owner: worker.name, name: socket.name, slot: slot), socket.address, backlog: socket.backlog,
            mode: socket.mode)
        }
      }
      guard worker.metrics else { continue }
      for slot in slots[worker.name]?.sorted() ?? Array(0..<worker.instances) {
        place(
          Key(owner: worker.name, name: SocketTable.metrics, slot: slot),
          .unix(path: SocketTable.metricsPath(configuration, worker.name, slot)), backlog: 128)
      }
    }
    guard errors.isEmpty else {
      for listener in fresh { listener.close() }
      throw ListenErrors(errors: errors)
    }
    return next
  }

  /// Gives the control socket to the group that it is for.
  private static func giveControl(of configuration: Configuration) -> ListenError? {
    let path = configuration.controlSocket
    let group = configuration.controlGroup?.group ?? getegid()
    var status = stat()
    // That it is not there has been said.
    guard lstat(path, &status) == 0, status.st_gid != group, lchown(path, uid_t.max, group) != 0 else { return nil }
    return ListenError(address: .unix(path: path), code: errno, owner: "\(supervisor).control")
  }

  /// A listener that may stay: its own, or at least one at the same place.
  private static func take(_ key: Key, _ address: ListenAddress, from left: inout [Key: Listener]) -> Listener? {
    if let own = left[key], own.fits(address) {
      left[key] = nil
      return own.configured(as: address)
    }
    if case .internet(let internet) = address, internet.port == 0 { return nil }
    // Never another place's of the same socket: somebody accepts on it.
    guard let other = left.first(where: { $0.value.address == address && !$0.key.isSameSocket(as: key) }) else {
      return nil
    }
    left[other.key] = nil
    return other.value.configured(as: address)
  }

  static func metricsPath(_ configuration: Configuration, _ worker: String, _ slot: Int) -> String {
    "\(configuration.runtimeDirectory)/metrics/\(worker).\(slot).sock"
  }

  // MARK: Using

  /// What an instance inherits, in the order of its manifest; a socket unit may have opened several by one name.
  func sockets(of worker: WorkerManifest, place: Int, slot: Int) -> [InheritedSocket] {
    var sockets: [InheritedSocket] = []
    for socket in worker.sockets {
      for listener in listening(worker, socket, place: place) {
        sockets.append(InheritedSocket(name: socket.name, descriptor: listener.descriptor))
      }
    }
    if worker.metrics, let listener = listeners[Key(owner: worker.name, name: SocketTable.metrics, slot: slot)] {
      sockets.append(InheritedSocket(name: SocketTable.metrics, descriptor: listener.descriptor))
    }
    return sockets
  }

  func listening(_ worker: WorkerManifest, _ socket: SocketManifest, place: Int) -> [Listener] {
    let key = Key(owner: worker.name, name: socket.name, slot: 0)
    if let activated = activatedListeners(key) { return activated }
    return listeners[Key(owner: worker.name, name: socket.name, slot: socket.perInstance ? place : 0)].map { [$0] }
      ?? []
  }

  /// Of a slot that is gone.
  mutating func dropMetrics(of id: InstanceID) {
    listeners.removeValue(forKey: Key(owner: id.worker, name: SocketTable.metrics, slot: id.slot))?.close()
  }

  /// The listeners of avalod itself: `admin`, `control`.
  func own(_ name: String) -> [Listener] {
    let key = Key(owner: SocketTable.supervisor, name: name, slot: 0)
    return activatedListeners(key) ?? listeners[key].map { [$0] } ?? []
  }

  private func activatedListeners(_ key: Key) -> [Listener]? {
    activated["\(key.owner).\(key.name)"] ?? activated[key.name]
  }

  /// Those that a service manager should keep over our restart: clients wait in their backlogs. Unix sockets are not:
  /// their files may be gone by then, and who connects to them is restarted with us.
  var stored: [(name: String, descriptor: Int32)] {
    listeners.compactMap { key, listener in
      if case .unix = listener.address { return nil }
      return (name: key.description, descriptor: listener.descriptor)
    }.sorted { $0.name < $1.name }
  }

  /// Closes what `next` no longer has. Answers their names.
  func release(for next: SocketTable) -> [String] {
    let kept = Set(next.listeners.values.map(\.descriptor))
    // A file that the next table bound again is not removed: it is taken over above, so no path is in both.
    return listeners.compactMap { key, listener in
      if kept.contains(listener.descriptor) { return nil }
      listener.close()
      return key.description
    }
  }

  /// At the end.
  func closeAll() {
    for listener in listeners.values { listener.close() }
  }

  /// Names in the configuration of sockets that a unit opened and nobody takes.
  func unclaimed(by configuration: Configuration) -> [String] {
    let owners = configuration.workers.flatMap { worker in
      worker.sockets.flatMap { [$0.name, "\(worker.name).\($0.name)"] }
    }
    return activated.keys.filter { !owners.contains($0) && $0 != "admin" && $0 != "avalod.admin" }.sorted()
  }
}

/// All that could not be bound.
struct ListenErrors: Error, Sendable {
  var errors: [ListenError]
}

extension Listener {
  /// Whether it is what the configuration asks for.
  fileprivate func fits(_ address: ListenAddress) -> Bool {
    if self.address == address { return true }
    // A port that the kernel chose stays while nothing else is asked for.
    guard case .internet(var mine) = self.address, case .internet(let wanted) = address, wanted.port == 0 else {
      return false
    }
    mine.port = 0
    return mine == wanted
  }

  fileprivate func configured(as address: ListenAddress) -> Listener {
    Listener(configured: address, address: self.address, descriptor: descriptor)
  }

  private init(configured: ListenAddress, address: ListenAddress, descriptor: Int32) {
    self.configured = configured
    self.address = address
    self.descriptor = descriptor
  }
}
