from speech2face.cli import main

main()
