import AvaloClient
import AvaloCore
import Crypto
import Glibc

/// Reads a backup from its beginning to its end.
struct ArchiveReader {
  /// A file whose bytes were read, and what they came to.
  struct Found: Equatable {
    var name: String
    var bytes: Int64
    var sha256: String
  }

  let path: String

  /// Reads everything, and checks it against the manifest, which it answers.
  /// - `sink`: told where to write a file's bytes to; `nil` for those that are only to be checked.
  func read(into sink: (String) throws -> Int32? = { _ in nil }) throws -> BackupManifest {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ToolError.system("read", path) }
    defer { close(descriptor) }
    var input = Input(descriptor: descriptor, path: path)
    var found: [Found] = []
    while true {
      let block = try input.take(TarHeader.blockBytes)
      if block.allSatisfy({ $0 == 0 }) { throw broken("it ends without a \(BackupManifest.name)") }
      guard let header = TarHeader(block) else { throw broken("what should be a file's head is none") }
      guard header.name != BackupManifest.name else {
        guard header.bytes <= CtlLimits.manifestBytesMax,
          let document = try? JSONText(validating: try input.take(Int(header.bytes)))
        else { throw broken("its \(BackupManifest.name) is not JSON") }
        let manifest = try BackupManifest(document)
        try compare(found, with: manifest)
        return manifest
      }
      guard !found.contains(where: { $0.name == header.name }) else { throw broken("\(header.name) is there twice") }
      found.append(try copy(header, from: &input, to: try sink(header.name)))
      _ = try input.take(TarHeader.padding(header.bytes))
    }
  }

  private func copy(_ header: TarHeader, from input: inout Input, to output: Int32?) throws -> Found {
    defer { if let output { close(output) } }
    var hash = SHA256()
    var left = header.bytes
    while left > 0 {
      let bytes = try input.take(Int(min(left, Int64(CtlLimits.copyBytes))))
      hash.update(data: bytes)
      if let output { try FileBytes.write(bytes[...], to: output, at: header.name) }
      left -= Int64(bytes.count)
    }
    if let output, fsync(output) != 0 { throw ToolError.system("write", header.name) }
    return Found(name: header.name, bytes: header.bytes, sha256: hash.finalize().hexadecimal)
  }

  private func compare(_ found: [Found], with manifest: BackupManifest) throws {
    let listed = manifest.files.map { Found(name: $0.name, bytes: $0.bytes, sha256: $0.sha256) }
    guard found != listed else { return }
    for (there, wanted) in zip(found, listed) where there != wanted {
      throw broken("\(there.name) is not what was written")
    }
    throw broken("it holds \(found.count) files instead of \(listed.count)")
  }

  private func broken(_ what: String) -> ToolError { .failed("\(path) is no whole backup: \(what). Use another one") }

  private struct Input {
    let descriptor: Int32
    let path: String

    /// Exactly so many bytes.
    mutating func take(_ count: Int) throws -> [UInt8] {
      var bytes = [UInt8](repeating: 0, count: count)
      var start = 0
      while start < count {
        let size = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress! + start, count - start) }
        if size < 0, errno == EINTR { continue }
        guard size >= 0 else { throw ToolError.system("read", path) }
        guard size > 0 else { throw ToolError.failed("\(path) is no whole backup: it was cut short. Use another one") }
        start += size
      }
      return bytes
    }
  }
}
