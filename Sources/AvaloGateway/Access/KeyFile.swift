import Glibc

/// Reads the small files that keys are in.
enum KeyFile {
  static func read(
    _ path: String, bytesMax: Int = GatewayLimits.keyFileBytesMax
  ) throws(KeyMaterial.Refusal) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw refusal(path) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 16 << 10)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw refusal(path) }
      if count == 0 { return bytes }
      bytes += chunk[..<count]
      guard bytes.count <= bytesMax else {
        throw KeyMaterial.Refusal("\(path): over \(bytesMax) bytes")
      }
    }
  }

  private static func refusal(_ path: String) -> KeyMaterial.Refusal {
    KeyMaterial.Refusal("\(path): \(String(cString: strerror(errno)))")
  }
}
