/// What the kernel hands back with an event: whose it is.
struct Tag: RawRepresentable {
  static let generationMask: UInt32 = 0x7FFF_FFFF
  private static let publisherBit: UInt64 = 1 << 63

  var rawValue: UInt64

  init(rawValue: UInt64) { self.rawValue = rawValue }
  init(client: Int, generation: UInt32) { rawValue = UInt64(generation) << 32 | UInt64(client) }
  init(publisher: Int) { rawValue = Tag.publisherBit | UInt64(publisher) }

  var isPublisher: Bool { rawValue & Tag.publisherBit != 0 }
  var index: Int { Int(rawValue & 0xFFFF_FFFF) }
  var generation: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 32) & Tag.generationMask }
}
