/// A connection of one loop: where it lies in the loop's slab, and which of the connections that lay there it is.
/// It stays safe to use after the connection's end: everything that takes one ignores it then.
public struct ConnectionID: Hashable, Sendable, BitwiseCopyable {
  public let slot: UInt32
  public let generation: UInt32

  package init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}
