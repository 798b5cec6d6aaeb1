import AvaloWire

/// What a turn of a thread beside the engine sends, by link, counted as on its way from the moment it is written here.
struct LinkWriters {
  private var writers: [LinkID: WireWriter] = [:]

  var isEmpty: Bool { writers.isEmpty }
  var frames: [(link: LinkID, frames: [UInt8])] { writers.map { (link: $0.key, frames: $0.value.bytes) } }

  mutating func add(_ link: LinkID, _ gauge: LinkGauge, _ write: (inout WireWriter) -> Void) {
    let before = writers[link]?.count ?? 0
    write(&writers[link, default: WireWriter()])
    gauge.add(writers[link]!.count - before)
  }
}
