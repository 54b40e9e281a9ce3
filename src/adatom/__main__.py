from adatom.cli import main

main()
