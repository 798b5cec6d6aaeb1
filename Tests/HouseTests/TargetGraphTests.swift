import Testing

/// The picture in `docs/architecture.md`: arrows only point down.
@Suite struct TargetGraphTests {
  /// From the bottom up: a target imports of ours only what stands below it. A new one is given its place here.
  static let layers: [Set<String>] = [
    ["CAvalo", "CSystemd"],
    ["AvaloCore", "AvaloMetrics", "AvaloReactor"],
    ["AvaloWire", "AvaloSystem", "AvaloKeys", "AvaloClient"],
    ["AvaloLink", "AvaloStore", "AvaloWorker", "AvaloWeb", "AvaloTrace"],
    ["AvaloStoreSQLite"],
    [
      "AvaloSupervisor", "AvaloGateway", "AvaloScheduler", "AvaloPresence", "AvaloWebhook", "AvaloConsole", "avaloctl",
      "avalo-bench",
    ],
    ["avalo"],
  ]
  static let workers = ["AvaloGateway", "AvaloScheduler", "AvaloPresence", "AvaloWebhook", "AvaloConsole"]

  let package: TargetGraph
  init() throws { package = try TargetGraph() }

  private func layer(_ name: String) -> Int? { Self.layers.firstIndex { $0.contains(name) } }

  @Test func everyTargetHasItsPlaceInThePicture() {
    let own = package.targets.keys.filter { House.exists("Sources/\($0)") }
    #expect(Set(own) == Self.layers.reduce(into: []) { $0.formUnion($1) })
  }

  @Test func arrowsPointDown() throws {
    for (name, target) in package.targets {
      guard let place = layer(name) else { continue }
      for other in package.arrows(from: name).union(target.dependencies) {
        let below = try #require(layer(other), "\(name) depends on \(other), which is in no layer")
        #expect(below < place, "\(name) depends on \(other)")
      }
    }
  }

  @Test func whatIsImportedIsDeclaredAndWhatIsDeclaredIsImported() {
    for (name, target) in package.targets where layer(name) != nil && !target.imports.isEmpty {
      #expect(package.arrows(from: name).subtracting(target.dependencies) == [], "\(name) imports it undeclared")
      #expect(target.dependencies.subtracting(target.imports) == [], "\(name) declares it and does not import it")
    }
  }

  @Test func workersNeverImportEachOther() {
    for worker in Self.workers {
      #expect(package.closure(of: worker).intersection(Self.workers) == [worker])
    }
  }

  @Test func theSupervisorKnowsNoDomain() {
    #expect(
      package.closure(of: "AvaloSupervisor") == [
        "AvaloSupervisor", "AvaloSystem", "AvaloMetrics", "CSystemd", "CAvalo",
      ])
  }

  @Test func valuesAndCodecsDoNothingButCompute() {
    #expect(package.imports(of: ["AvaloCore"]).subtracting(["CAvalo"]) == [])
    #expect(package.imports(of: ["AvaloWire"]) == ["AvaloCore"])
    #expect(package.imports(of: ["AvaloReactor"]) == ["CAvalo", "Glibc", "Synchronization"])
  }

  /// Foundation is in the file, for SQLite and YAML; who runs its code has some megabytes more in memory.
  @Test(arguments: ["AvaloGateway", "AvaloWebhook", "AvaloConsole", "avaloctl"]) func runsNoFoundation(target: String) {
    let imports = package.imports(of: package.closure(of: target))
    #expect(imports.filter { $0.hasPrefix("Foundation") && $0 != "FoundationEssentials" } == [])
  }

  @Test func theProgramIsShort() throws {
    let lines = try House.files("Sources/avalo", ".swift").map { try House.lines($0).count }.reduce(0, +)
    #expect(lines <= 150, "avalo only decides what to run: what that does belongs into a library that tests can import")
  }

  /// It is for Apple's platforms, too. What a C library has is imported where there is one, by `#if canImport`.
  @Test func theClientNeedsNoLinux() {
    #expect(package.closure(of: "AvaloClient") == ["AvaloClient", "AvaloCore"])
    let imports = package.imports(of: package.closure(of: "AvaloClient"))
    #expect(Set(imports.filter { !$0.hasPrefix("NIO") }) == ["AvaloCore", "Synchronization"])
  }
}
