"""What must every other model beat?"""
