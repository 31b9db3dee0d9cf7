import MuleCLI

@main
enum Mule {
    static func main() {
        Program.main()
    }
}
