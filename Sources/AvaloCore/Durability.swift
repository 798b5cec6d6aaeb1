/// What a publish that was answered with success has survived. The raw value travels between processes.
public enum Durability: UInt8, CaseIterable, Sendable {
  /// Held in memory only: development and benchmarks.
  case memory = 0
  /// Handed to the operating system: survives any crash of our processes.
  case os = 1
  /// Synced to the disk before the answer: survives power loss.
  case disk = 2

  public var wireName: String {
    switch self {
    case .memory: "memory"
    case .os: "os"
    case .disk: "disk"
    }
  }

  public init?(wireName: String) {
    guard let durability = Durability.allCases.first(where: { $0.wireName == wireName }) else { return nil }
    self = durability
  }
}
