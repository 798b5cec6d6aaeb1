import Synchronization

/// Counts connections per peer address, over all loops of a process, and says when an address has enough. Called once
/// when a connection comes and once when it goes.
public final class AddressBudget: Sendable {
  public let connectionsPerAddressMax: Int
  private let state = Mutex(State())

  private struct State {
    var entries: [Entry] = []
    var free: [UInt32] = []
    var byAddress: [String: UInt32] = [:]
  }

  private struct Entry {
    var address: String
    var count: Int
  }

  public init(connectionsPerAddressMax: Int) {
    precondition(connectionsPerAddressMax > 0)
    self.connectionsPerAddressMax = connectionsPerAddressMax
  }

  /// A lease to be released when the connection ends; `nil` when the address has its fill. Never 0, which means none.
  public func admit(_ address: String) -> UInt32? {
    state.withLock { state in
      if let index = state.byAddress[address] {
        guard state.entries[Int(index)].count < connectionsPerAddressMax else { return nil }
        state.entries[Int(index)].count += 1
        return index + 1
      }
      let entry = Entry(address: address, count: 1)
      let index: UInt32
      if let reused = state.free.popLast() {
        index = reused
        state.entries[Int(index)] = entry
      } else {
        index = UInt32(state.entries.count)
        state.entries.append(entry)
      }
      state.byAddress[address] = index
      return index + 1
    }
  }

  /// 0 is no lease.
  public func release(_ lease: UInt32) {
    if lease == 0 { return }
    state.withLock { state in
      let index = Int(lease - 1)
      precondition(state.entries[index].count > 0, "lease \(lease) was released twice")
      state.entries[index].count -= 1
      if state.entries[index].count == 0 {
        state.byAddress[state.entries[index].address] = nil
        state.entries[index].address = ""
        state.free.append(UInt32(index))
      }
    }
  }

  /// Connections of an address now.
  public func count(_ address: String) -> Int {
    state.withLock { state in state.byAddress[address].map { state.entries[Int($0)].count } ?? 0 }
  }
}
